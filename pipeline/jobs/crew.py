"""What asks rows, opened from a job's config: in this process, or as the inside of a worker in another one."""

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.config import Config, load_config
from pipeline.core.locations import Location, is_remote
from pipeline.core.types import Fault, FaultKind, Row
from pipeline.distributed.desk import Desk
from pipeline.distributed.reader import Reader
from pipeline.engine.hands import Built, Hands, Here
from pipeline.engine.send import Builder, Sent
from pipeline.engine.threads import Threads
from pipeline.engine.work import REAL_TIME
from pipeline.jobs import inputs
from pipeline.jobs.machine import make_room_for
from pipeline.jobs.pictures import preparing
from pipeline.jobs.wiring import Endpoint, build_endpoint, build_renderer, most_picture_bytes, render_threads
from pipeline.prompts import Renderer, SliceReader
from pipeline.sources.wording import shown

# How the variables begin that the storages' own libraries read.
STORE_VARIABLES = ("AWS_", "AZURE_STORAGE_", "GOOGLE_")


@asynccontextmanager
async def here(
    config: Config,
    endpoint: Endpoint,
    renderer: Renderer,
    files: Sequence[inputs.JoinedFile],
    threads: Threads,
    notice: Callable[[str], None],
) -> AsyncIterator[Here]:
    """Open hands in this process."""
    # Here and not above: an HTTP client takes a tenth of a second to import, and most of the time there is nothing to send.
    from pipeline.engine.transport import HttpTransport

    async with (
        HttpTransport(endpoint.transport, scrub=endpoint.redactor.scrub, notice=notice) as transport,
        preparing(config, notice=notice) as prepare,
    ):
        builder = Builder(inputs.heed_gone(renderer, files), endpoint.provider, threads.render, prepare)
        yield Here(builder, endpoint.provider, transport, now=REAL_TIME.now)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker elsewhere is given: no secret, and no row. `base_url` is the simulator's, if that is asked."""

    config: Mapping[str, Any]
    files: Sequence[inputs.JoinedFile]
    schema: pa.Schema | None
    base_url: str | None = None

    @classmethod
    def of(cls, config: Config, source: inputs.JoinedSource, base_url: str | None) -> "Assignment":
        return cls(config.model_dump(mode="json"), source.files, source.schema, base_url)

    @asynccontextmanager
    async def __call__(self, notice: Callable[[str], None]) -> AsyncIterator[Desk]:
        """Open the worker's inside, where it is to work. Raises RowcallError where that cannot be."""
        config = load_config(None, values=self.config)
        make_room_for(config.limits.concurrency)
        endpoint = build_endpoint(config, warn=notice, base_url=self.base_url)
        with ExitStack() as stack:
            read = stack.enter_context(SliceReader(most_picture_bytes=most_picture_bytes(config)))
            assert self.schema is not None, "rows are asked, so there are files"
            renderer = build_renderer(config, self.schema, read)

            def source() -> inputs.JoinedSource:
                opened = inputs.JoinedSource(
                    self.files, prompt_columns=renderer.columns, kept_columns=(), schema=self.schema, read=read
                )
                stack.callback(opened.close)
                return opened

            threads = Threads.start(render=render_threads(config) if renderer.blocking else 0)
            stack.callback(threads.close)
            reading = stack.enter_context(ThreadPoolExecutor(1, "rowcall-read"))
            async with here(config, endpoint, renderer, self.files, threads, notice) as hands:
                first = [source()]  # at once: what cannot be read is found before rows are given out
                reader = Reader(lambda: first.pop() if first else source(), reading, places=1 if heavy(config) else 4)
                yield Desk(_Rekeying(hands, endpoint.rekeyed), reader)


@asynccontextmanager
async def in_cluster(
    config: Config, source: inputs.JoinedSource, base_url: str | None, notice: Callable[[str], None]
) -> AsyncIterator[Hands]:
    """Open hands that are workers of a Ray cluster."""
    # Here and not above: Ray is an extra, and takes a second to import.
    from pipeline.distributed.fleet import fleet
    from pipeline.distributed.ray_links import Secrets, ray_links

    workers, at_once = config.engine.workers, config.limits.concurrency
    links = ray_links(
        Assignment.of(config, source, base_url),
        address=config.engine.address,
        seats=workers,
        cpus=config.engine.cpus_per_worker,
        secrets=Secrets(variables_of(config)),
        only_here=unreadable_elsewhere(source.files),
        notice=notice,
    )
    async with (
        links as open_,
        fleet(
            workers,
            open_,
            # Of large rows a worker takes some more than its share, rather than have others read them.
            at_once=at_once + at_once // 2 if heavy(config) else at_once,
            # What a request weighs is told where it bounds something: memory, a pace by tokens, a cost.
            weigh=heavy(config) or bool(config.limits.tokens_per_minute) or config.stop.max_cost is not None,
            longest=config.retry.max_outage_s,
            now=REAL_TIME.now,
            notice=notice,
        ) as hands,
    ):
        yield hands


def unreadable_elsewhere(files: Sequence[inputs.JoinedFile]) -> str | None:
    """Say why workers on other machines could not read the input, or None: staged copies and indexes lie beside the record."""
    staged = [each.stored.path for each in files if each.path is not None and each.path != each.original]
    if not staged:
        return None
    return (
        f"engine.kind: ray: workers on other machines cannot read {shown(staged[0])}, for what is not Parquet is staged"
        " beside the record, on this one; make it Parquet, in a store or on a disk that all machines share"
    )


def heavy(config: Config) -> bool:
    """Whether rows may be large. Nobody reads those of others without need, then, nor holds several row groups open."""
    return bool(config.prompt.images or config.prompt.messages)


class _Rekeying:
    """Hands that look for a new key in its file when the one they have is refused, as the driver does for itself."""

    def __init__(self, hands: Hands, rekeyed: Callable[[], bool]) -> None:
        self._hands = hands
        self._rekeyed = rekeyed
        self.stop = hands.stop

    async def build(self, row: Row) -> Built | Fault:
        return await self._hands.build(row)

    async def send(self, built: Built, *, may_resend: bool) -> Sent:
        sent = await self._hands.send(built, may_resend=may_resend)
        if isinstance(sent.result, Fault) and sent.result.kind is FaultKind.FATAL:
            self._rekeyed()
        return sent


def variables_of(config: Config) -> dict[str, str]:
    """Give the variables of this environment that a worker needs, too: with the endpoint's key and headers, and a store's."""
    endpoint = config.endpoint
    names = [value[4:] for value in endpoint.headers.values() if value.startswith("env:")]
    if endpoint.api_key_file is None and endpoint.key_variable is not None:
        names.append(endpoint.key_variable)
    if isinstance(config.images.root, Location) or any(map(is_remote, config.input.path)):
        names += [name for name in os.environ if name.startswith(STORE_VARIABLES)]
    return {name: os.environ[name] for name in names if name in os.environ}
