"""What is done to a prompt's pictures between rendering and sending: addresses are fetched, pictures shrunk."""

import asyncio
import importlib.metadata
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from pipeline.config import Config
from pipeline.core.errors import BadRowError, ConfigError
from pipeline.core.extras import missing_extra
from pipeline.core.interfaces import Fetch, Prepare, Shrink
from pipeline.core.public import shown
from pipeline.core.types import Content, Image, Message, Prompt
from pipeline.engine.settings import FetchSettings
from pipeline.jobs.loop import in_a_loop
from pipeline.prompts.blocks import address_of, with_address
from pipeline.prompts.images import data_uri_of, from_bytes, from_data_uri, is_data_uri
from pipeline.version import __version__

_LEAST_PILLOW = (11, 3)
_QUALITY = 85
_THUMBNAIL_SIDE, _THUMBNAIL_PIXELS = 320, 40_000_000


@dataclass(frozen=True, slots=True)
class Pictures:
    """Implements core.interfaces.Prepare. `read` tells what fetched or shrunk bytes are; it raises BadRowError for others.

    Without `fetch` addresses are passed on as they are, without `shrink` pictures are. A data URI of more than `most_bytes`
    is not decoded.
    """

    read: Callable[[bytes], Image]
    fetch: Fetch | None = None
    shrink: Shrink | None = None
    most_bytes: int = 20_000_000

    async def __call__(self, prompt: Prompt) -> Prompt:
        messages = [await self._prepared(each) for each in prompt.messages]
        return replace(prompt, messages=tuple(messages))

    async def _prepared(self, message: Message) -> Message:
        if all(isinstance(each, str) for each in message.parts):
            return message
        return replace(message, parts=tuple([await self._part(each) for each in message.parts]))

    async def _part(self, part: Content) -> Content:
        if isinstance(part, Mapping):
            return await self._block(part)
        if not isinstance(part, Image):
            return part
        image = part
        if image.url is not None and self.fetch is not None:
            image = self._read(image.url, await self.fetch(image.url))
        if image.data is not None and self.shrink is not None:
            image = self.read(await self.shrink(image.data))
        return image

    async def _block(self, block: Mapping[str, object]) -> Mapping[str, object]:
        """Do the same to a picture that a conversation brought as an address or data URI; what else its block says stays."""
        uri = address_of(block)
        if uri is None:
            return block
        before: Image | None = None
        if is_data_uri(uri):
            if self.shrink is None:
                return block
            before = await asyncio.to_thread(from_data_uri, uri, self.most_bytes)
            after = await self._part(before)
        else:
            after = await self._part(Image(url=uri))
        if not isinstance(after, Image) or after.data is None or (before is not None and after.data == before.data):
            return block
        return with_address(block, await asyncio.to_thread(data_uri_of, after))

    def _read(self, url: str, data: bytes) -> Image:
        try:
            return self.read(data)
        except BadRowError as error:
            raise BadRowError(f"{shown(url)}: {error}") from error


@asynccontextmanager
async def preparing(config: Config, *, notice: Callable[[str], None] = lambda _: None) -> AsyncIterator[Prepare | None]:
    """Open what the config's pictures need, and close it at the end; None where they are sent as they are."""
    async with AsyncExitStack() as stack:
        shrink = stack.enter_context(shrinking(config))
        fetch: Fetch | None = None
        if config.images.urls == "inline":
            from pipeline.engine.fetch import fetching  # here and not above: few jobs fetch, and an HTTP client takes its time

            fetch = await stack.enter_async_context(fetching(fetch_settings(config), notice=notice))
        yield None if shrink is None and fetch is None else _pictures(config, shrink, fetch)


def _pictures(config: Config, shrink: Shrink | None, fetch: Fetch | None = None) -> Pictures:
    most_bytes = int(config.images.max_megabytes * 1e6)
    return Pictures(partial(from_bytes, most_bytes=most_bytes), fetch=fetch, shrink=shrink, most_bytes=most_bytes)


def shrunk(config: Config, prompt: Prompt) -> Prompt:
    """Give one prompt with its pictures as a run would send them, but for those that it would fetch."""

    async def work() -> Prompt:
        with shrinking(config) as shrink:
            return await _pictures(config, shrink)(prompt)

    return in_a_loop(work)


def pictures_to_fetch(config: Config, prompt: Prompt) -> int:
    """Count the pictures of a prompt that a run would fetch."""
    if config.images.urls != "inline":
        return 0
    parts = [part for message in prompt.messages for part in message.parts]
    images = sum(isinstance(part, Image) and part.url is not None for part in parts)
    uris = [address_of(part) for part in parts if isinstance(part, Mapping)]
    return images + sum(uri is not None and not is_data_uri(uri) for uri in uris)


def picture_sizes(prompt: Prompt) -> list[int]:
    """Give the bytes of each picture of a prompt that are sent with it."""
    parts = [part for message in prompt.messages for part in message.parts]
    images = [len(part.data) for part in parts if isinstance(part, Image) and part.data is not None]
    uris = [address_of(part) or "" for part in parts if isinstance(part, Mapping)]
    return images + [(len(uri) - uri.find(",") - 1) * 3 // 4 for uri in uris if is_data_uri(uri)]


@contextmanager
def shrinking(config: Config) -> Iterator[Shrink | None]:
    """Open what makes pictures smaller, if the config wants it; its processes start with the first picture."""
    if not config.images.are_prepared:
        yield None
        return
    check_pillow(config)
    from pipeline.pictures.wanted import Wanted
    from pipeline.pictures.workers import Limits, Workers, command_of, processors

    images = config.images
    most = int(images.max_megapixels * 1e6)
    wanted = Wanted(images.max_side, images.format, _QUALITY if images.quality is None else images.quality, most)
    limits = Limits.of(most)
    workers = Workers(command_of(wanted, limits), limits, processors())
    try:
        yield workers
    finally:
        workers.close()


@contextmanager
def thumbnails() -> Iterator[Callable[[bytes], bytes]]:
    """Open what makes pictures small enough for a page, one after another; it raises BadRowError for what it cannot read."""
    from pipeline.pictures.wanted import Wanted
    from pipeline.pictures.workers import Limits, Workers, command_of

    limits = Limits.of(_THUMBNAIL_PIXELS)
    workers = Workers(command_of(Wanted(_THUMBNAIL_SIDE, "jpeg", 70, _THUMBNAIL_PIXELS, anew=True), limits), limits, 1)
    try:
        yield workers.shrunk
    finally:
        workers.close()


def check_pillow(config: Config) -> None:
    """Raise ConfigError if pictures are to be made smaller and what does it is not installed. Does not import it."""
    if not config.images.are_prepared:
        return
    key = "images.max_side" if config.images.max_side is not None else "images.format"
    try:
        found = importlib.metadata.version("Pillow")
    except importlib.metadata.PackageNotFoundError:
        raise ConfigError(f"{key}: Pillow makes pictures smaller, and is not installed: {missing_extra('images')}") from None
    if tuple(int(each) for each in found.split(".")[:2] if each.isdigit()) < _LEAST_PILLOW:
        raise ConfigError(f"{key}: Pillow {found} is too old for it: {missing_extra('images', upgrade=True)}")


def fetch_settings(config: Config) -> FetchSettings:
    """Map the config onto how pictures are fetched."""
    return FetchSettings(
        user_agent=f"rowcall/{__version__}",
        most_bytes=int(config.images.max_megabytes * 1e6),
        per_host=config.images.per_host,
        longest_outage=config.retry.max_outage_s,
    )
