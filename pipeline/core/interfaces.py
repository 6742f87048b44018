"""The seams: what each stage asks of the next. Read this file to know the product.

    Source -> Row -> Render -> Prompt -> Prepare -> Provider.encode -> Request -> Transport -> Response -> Provider.decode
           -> Reply | Fault -> decide() -> Outcome -> Journal -> part -> output

Rows come numbered; each ends as exactly one Outcome; an outcome counts once the journal says it is on disk.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from pipeline.core.types import Fault, Outcome, Part, Prompt, Reply, Request, Response, Row, Slice

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.core.quota import Quotas
    from pipeline.core.tally import Progress, Tally


class Source(Protocol):
    """The input as one numbered sequence of rows, whatever files it lies in. Reads in bounded memory, blocking."""

    def count(self) -> int:
        """Give the number of rows."""

    def rows(self, ranges: Sequence[range]) -> Iterator[Sequence[Row]]:
        """Give the rows of these ascending, disjoint ranges in order, in batches bounded by bytes; only the prompt's columns."""

    def columns(self, start: int, stop: int) -> "Iterator[pa.RecordBatch]":
        """Give the kept input columns of rows start..stop-1, types and values unchanged, in bounded batches."""


class Render(Protocol):
    """One row's cells -> what it asks."""

    def __call__(self, row: Row) -> Prompt:
        """Raise BadRowError if this row cannot be asked."""


class ReadSlice(Protocol):
    """A cell that lies in a file -> its bytes. Blocking, and safe to call from several threads."""

    def __call__(self, cell: Slice, most_bytes: int) -> bytes:
        """Raise BadRowError if this cell cannot be had, or has more bytes than that; StoppedError or InputChangedError if the
        machine or the file as a whole is to blame: the row is then still to do."""


class Fetch(Protocol):
    """A picture's address -> its bytes, not yet looked at."""

    async def __call__(self, url: str) -> bytes:
        """Raise BadRowError if this picture cannot be had, StoppedError if none can: the row is then still to do."""


class Shrink(Protocol):
    """A picture's bytes -> those that are sent instead of them."""

    async def __call__(self, data: bytes) -> bytes:
        """Give equal bytes for equal bytes. Raise BadRowError if it is no picture that can be read."""


class Prepare(Protocol):
    """What a prompt's pictures need before they are sent, such as fetching and shrinking. Holds no slot meanwhile."""

    async def __call__(self, prompt: Prompt) -> Prompt:
        """Raise BadRowError if this row cannot be asked, another RowcallError if none can."""


class Provider(Protocol):
    """One kind of endpoint: how it is asked, and what its answers mean. Pure; never raises for anything it was sent."""

    def encode(self, prompt: Prompt) -> Request:
        """Build the request; the same prompt gives equal bytes every time."""

    def decode(self, response: Response, request: Request) -> Reply | Fault:
        """Read an answer of any status. The request tells its own words in an error message from the endpoint's."""

    def credits(self, response: Response) -> float | None:
        """Give what is left on the account, None where the answer does not say."""

    def quotas(self, response: Response) -> "Quotas | None":
        """Give what is left of rate limits, None where the answer does not say."""


class Transport(Protocol):
    """Sends one request. Whatever goes wrong on the way is a Fault, never an exception (cancellation excepted)."""

    async def post(self, request: Request, *, fresh: bool = False) -> Response | Fault:
        """Send it, with `fresh` on a connection that was not used before."""


class Journal(Protocol):
    """What is on disk about rows and parts, as the engine needs it. Blocking, and safe to call from several threads:
    commits go on while a part is being sealed.

    A part is opened (its kept input columns set aside) before its first row is sent, and sealed once its last row is
    recorded. Redo: rows of a retry, asked again although an older outcome is recorded.
    """

    def record(self, batch: Sequence[Outcome]) -> "Tally | None":
        """Commit these outcomes in one durable transaction: when it returns they survive a power cut.

        Gives the tally of older outcomes that these replaced (a retry), None if there were none.
        """

    def forget(self, rows: Sequence[int]) -> "Tally":
        """Take the recorded failures of these rows off the record, in one durable transaction: they are to do again.

        Their parts must be open still. Gives the tally of what was taken off.
        """

    def missing(self, part: Part) -> Sequence[range]:
        """Give the rows of the part that still have to be asked, as ascending ranges."""

    def attempts(self, part: Part) -> dict[int, int]:
        """Give, for rows of the part asked again in a retry, the attempts their old outcome had."""

    def open_part(self, part: Part, columns: "Iterator[pa.RecordBatch]") -> None:
        """Make the part known and set its kept columns aside, durably.

        A part already open is checked, and set aside anew from `columns` only if its file is torn or missing.
        """

    def seal(self, part: Part) -> None:
        """Join the part's outcomes with its kept columns into one durable file, then drop them from the journal."""

    def open_bytes(self) -> int:
        """Give the bytes that journal and set-aside files occupy: what `checkpoint.max_open_megabytes` bounds."""


class Observer(Protocol):
    """Who watches a run: a progress bar, a log, a notebook. Called on the run's own thread; must not block."""

    def progress(self, now: "Progress") -> None:
        """Take a picture of the run: once at the start, about once a second, once at the end."""

    def notice(self, text: str) -> None:
        """Take one line that a person should read, without secrets or control characters."""
