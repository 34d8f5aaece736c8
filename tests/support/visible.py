"""All text that tools show of an error, which must not contain a credential."""

import pickle
import traceback

import attrs
import cattrs


def visible_text(error: BaseException) -> str:
    """
    All text that tools make of an error: with local variables, with what it came from, pickled, as plain data.

    Only what a server sent is passed over in local variables, for it may have sent anything.
    """
    texts = [repr(error), str(error), repr(pickle.dumps(error)), repr(vars(error)), repr(cattrs.unstructure(error))]
    texts += traceback.format_exception(error)
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_globals["__name__"].startswith(("galileo_sessions", "aiohttp")):
            texts += [repr(value) for name, value in frame.f_locals.items() if name not in ("answer", "body", "data")]
    texts += [repr(attrs.asdict(attempt)) for attempt in getattr(error, "attempts", ())]
    for linked in (error.__cause__, error.__context__, getattr(error, "last", None)):
        if linked is not None:
            texts.append(visible_text(linked))
    for attempt in getattr(error, "attempts", ()):
        if attempt.error is not None:
            texts.append(visible_text(attempt.error))
    return "\n".join(texts)
