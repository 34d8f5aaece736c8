"""What tools show of an error with its frames, in which no secret may be."""

import pickle
import traceback
from collections.abc import Iterator
from types import FrameType

import attrs
import cattrs
from rich.pretty import traverse

from galileo_sessions import ApiKeyAuth, BasicAuth, BearerAuth, GalileoSessions, PasswordAuth

GIVEN_SECRETS = (GalileoSessions, ApiKeyAuth, BearerAuth, BasicAuth, PasswordAuth)


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all errors that can be reached from it."""
    if error is not None:
        yield error
        attempts = [attempt.error for attempt in getattr(error, "attempts", ())]
        for linked in (error.__cause__, error.__context__, getattr(error, "last", None), *attempts):
            yield from chain_of(linked)


def our_frames(error: BaseException) -> list[FrameType]:
    """The frames of the package and of aiohttp, but for those of constructors, which have what their callers wrote."""
    return [
        frame
        for one in chain_of(error)
        for frame, _ in traceback.walk_tb(one.__traceback__)
        if frame.f_globals.get("__name__", "").startswith(("galileo_sessions", "aiohttp"))
        and not (frame.f_code.co_name == "__init__" and isinstance(frame.f_locals["self"], GIVEN_SECRETS))
    ]


def serialized(value: object, depth: int = 6) -> str:
    """What an error reporter sends: containers and records entry by entry, all else as its repr."""
    if depth and isinstance(value, dict):
        return " ".join(f"{key!r} {serialized(one, depth - 1)}" for key, one in value.items())
    if depth and isinstance(value, list | tuple | set | frozenset):
        return " ".join(serialized(one, depth - 1) for one in value)
    if depth and attrs.has(type(value)):
        return serialized(attrs.asdict(value, recurse=False), depth - 1)  # type: ignore[arg-type]
    return repr(value)


def visible_text(error: BaseException) -> str:
    """All text that tools make of an error and its causes, with file names: a secret with a `-` is in none of these."""
    frames = our_frames(error)
    texts = [str(traceback.StackSummary.extract(((frame, frame.f_lineno) for frame in frames), capture_locals=True))]
    for frame in frames:
        texts += [serialized(dict(frame.f_locals)), repr(dict(frame.f_locals))]
        texts += [str(traverse(value, max_length=10, max_string=80)) for value in frame.f_locals.values()]
    for one in chain_of(error):
        texts += [repr(one), str(one), repr(one.args), repr(pickle.dumps(one)), repr(cattrs.unstructure(one))]
        texts += [serialized(vars(one)), *traceback.format_exception(one)]
    return "\n".join(texts)
