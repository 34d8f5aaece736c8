"""What errors carry: the attempts of a request, and the issues of a filter."""

from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:  # these are above
    from galileo_sessions.api.query import CountQuery
    from galileo_sessions.errors import GalileoError
    from galileo_sessions.filters.nodes import Filter


@frozen
class Attempt:
    """One try to send a request and get its response."""

    number: int
    """1 for the request's first attempt, 2 for its first retry."""
    status: int | None
    """The HTTP status, or None if no response arrived."""
    error: "GalileoError | None"
    """Why the attempt failed; None if it succeeded."""
    waited: float
    """Seconds waited before this attempt: for the client's limits, a pause or a backoff."""
    elapsed: float
    """
    Seconds from its start, after that wait, until the last byte or the error; with a login that it
    waited for.
    """
    width: int = 0
    """How many requests at once the client allowed after this attempt."""
    rate: float = 0.0
    """
    How many requests a second the client allowed after this attempt; infinite while there is no
    limit.
    """
    breaker_open: bool = False
    """
    Whether the client sent only single probes after this attempt, because the service refused
    everything.
    """
    query: "CountQuery | None" = field(default=None, repr=False)
    """
    The `CountQuery`. For columns, it has the project and the `tag` of the first count that needs
    them, but no filter. For the list of projects, it is None.
    """


@frozen
class Issue:
    """One entry of a 422 in FastAPI's form, or one part of a filter that fails a check."""

    loc: tuple[str | int, ...]
    """
    The path in the request, ("body", "filter_tree", …), or for a check, in `dump_filter(where)`.
    """
    msg: str
    """What is wrong, in a sentence for people: the service's, or the check's."""
    type: str
    """
    What is wrong, as a word for programs: the service's, such as "missing", or the check's, such as
    "unknown_column".
    """
    node: "Filter | None" = None
    """The part of the filter at `loc`; None if it can't be found."""
