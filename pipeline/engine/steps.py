"""What becomes of a row after an answer: the judge says it, the run does it."""

from pipeline.core.types import Fault, Reply
from pipeline.core.values import value


@value(frozen=True, slots=True)
class Done:
    """The row ends with this result; record it."""

    result: Reply | Fault


@value(frozen=True, slots=True)
class Later:
    """The row goes back to the feed, to be sent again after so many seconds."""

    after: float


@value(frozen=True, slots=True)
class Shelve:
    """The row goes back to the feed until others were heard."""


@value(frozen=True, slots=True)
class Withhold:
    """The row may not be sent again, yet is not to blame while nobody gets through: its verdict waits."""


Step = Done | Later | Shelve | Withhold
