"""The constants of the flow control."""

from pathlib import Path

from bench.constants import constants_of

import galileo_sessions


def test_the_flow_control_has_at_most_30_constants() -> None:
    """Numbers in flow and request, so that a reader can learn what each is for."""
    constants = constants_of(Path(galileo_sessions.__file__).parent)
    assert 0 < len(constants) <= 30, "\n".join(f"{one.file}:{one.line} {one.code}" for one in constants)
