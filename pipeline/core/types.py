"""The values that pass from one stage to the next: row, prompt, request, response, outcome. Immutable, no behaviour.

Absent on purpose: policies (retry.py, fatal.py, breaker.py) and anything that knows a provider or a file format.
"""

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from pipeline.core.values import value


@value(frozen=True, slots=True)
class Row:
    """One input row. `index` counts from 0 over the whole job, in the order of joining; it is the output order.

    `cells` holds only the columns that the prompt needs, as plain Python values. `size` is about how many bytes they
    occupy: what the feed's byte bound counts.
    """

    index: int
    cells: Mapping[str, object] = field(repr=False)
    size: int = 0


@value(frozen=True, slots=True)
class Image:
    """A picture for a prompt: either `data` with its `media_type` (from the bytes' own magic), or a `url` passed on as it is."""

    media_type: str | None = None
    data: bytes | None = field(default=None, repr=False)
    url: str | None = field(default=None, repr=False)


@value(frozen=True, slots=True)
class Slice:
    """A cell that lies in a file and is read when its row is asked: `size` bytes from `offset`.

    It comes from the source alone, never from data. With `root` the file must be a regular one below that folder once all links
    are followed, for names in a folder of pictures are anybody's; `file` is then relative to `root`, else absolute.
    A `root` may be a location in an object store.
    `stat` (size, mtime_ns, inode) is the file's as it was when it was indexed, None where any content will do.
    """

    file: str
    offset: int
    size: int
    root: str | None = None
    stat: tuple[int, int, int] | None = None


Content = str | Image | Mapping[str, object]


@value(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    `parts` are text, images, or content blocks of the user's own that are passed on unread. `extra` holds what a
    message may carry besides role and content (`name`, `tool_calls`, `tool_call_id`), passed on unread.
    """

    role: str
    parts: tuple[Content, ...] = field(repr=False)
    extra: Mapping[str, object] = field(default_factory=dict, repr=False)


@value(frozen=True, slots=True)
class Prompt:
    """What one row asks, in no provider's terms yet."""

    row: int
    messages: tuple[Message, ...] = field(repr=False)


@value(frozen=True, slots=True)
class Request:
    """One HTTP POST, ready to send. `headers` hold the key and stay out of repr; `tokens` is an estimate for pacing."""

    row: int
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    tokens: int = 0


@value(frozen=True, slots=True)
class Response:
    """A complete HTTP answer: `headers` with lower-case names, `body` decoded from its content-encoding and bounded in size."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@value(frozen=True, slots=True)
class Usage:
    """Token counts as the reply gave them; None where it gave none or nonsense. Never guessed."""

    prompt: int | None = None
    completion: int | None = None
    total: int | None = None


@value(frozen=True, slots=True)
class Reply:
    """A paid answer. `text` is None only if the reply carried none (tool calls, a refusal). `extra` is JSON text or None."""

    text: str | None = field(repr=False)
    finish_reason: str | None = None
    usage: Usage = Usage()
    model: str | None = None
    response_id: str | None = None
    extra: str | None = field(default=None, repr=False)


class FaultKind(Enum):
    """What a failed send costs, and whom.

    THROTTLED  time, for every row: the endpoint asked for a pause.
    DOWN       time, the endpoint: nobody was there to answer (refused, unreachable, no such host).
    TRANSIENT  time and one attempt, this row.
    REJECTED   nothing more, this row: asking again would get the same answer.
    FATAL      nothing more, any row: key, credits, model, URL. See fatal.py.
    LOCAL      ours: out of file descriptors or the like. Neither the row's nor the endpoint's fault.
    """

    THROTTLED = "throttled"
    DOWN = "down"
    TRANSIENT = "transient"
    REJECTED = "rejected"
    FATAL = "fatal"
    LOCAL = "local"


@value(frozen=True, slots=True)
class Fault:
    """Why a send gave no reply, classified once.

    `error_kind` is one of ERROR_KINDS; `message` is the endpoint's own words, already redacted and cut.
    `retry_after` is the endpoint's hint in seconds (None: it gave none), not yet compared with any limit.
    `ambiguous`: the request may have been served and billed. `resends`: this fault may be answered by at most so many
    further sends of the row, because each was probably billed (None: the retry policy alone decides).
    `free`: the connection was a reused one that the server had just closed; the first such resend of a row costs nothing.
    `if_all`: what kind it is once several different rows in a row got it, see unison.py (None: the same).
    `unquoted`: the message without what it quotes of the prompt (None: it quotes nothing).
    """

    kind: FaultKind
    error_kind: str
    message: str
    status: int | None = None
    retry_after: float | None = None
    ambiguous: bool = False
    resends: int | None = None
    free: bool = False
    if_all: FaultKind | None = None
    unquoted: str | None = None

    @property
    def aloud(self) -> str:
        """What a screen or a log may show: users' data stays in record and output."""
        return self.message if self.unquoted is None else self.unquoted


ERROR_KINDS = (
    "bad_row",
    "bad_request",
    "too_large",
    "content_policy",
    "unauthorized",
    "forbidden",
    "not_found",
    "insufficient_credits",
    "rate_limited",
    "server_error",
    "bad_gateway",
    "timeout",
    "connection",
    "bad_response",
)


@value(frozen=True, slots=True)
class Outcome:
    """How one row ended: exactly one a row. What the journal records and the output shows.

    `attempts` counts requests sent for the row, throttled ones included. `elapsed` is the seconds of the send that
    decided, None where nothing was sent. `cost` is by the configured prices, None without them.
    """

    row: int
    attempts: int
    elapsed: float | None
    result: Reply | Fault
    cost: float | None = None


@value(frozen=True, slots=True)
class Part:
    """A contiguous range of rows, `start` up to but not including `stop`, that is sealed as one file."""

    id: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


# The result columns in their order, before `output.prefix`. Their Arrow types are in checkpoint/schema.py.
RESULT_COLUMNS = (
    "completion",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "status",
    "error_kind",
    "error",
    "http_status",
    "attempts",
    "latency_s",
    "cost",
    "model",
    "response_id",
    "extra",
)
