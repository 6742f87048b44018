"""What is done to a prompt's pictures between rendering and sending: addresses are fetched, pictures shrunk."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from pipeline.config import Config
from pipeline.core.interfaces import Fetch, Prepare, Shrink
from pipeline.core.types import Content, Image, Message, Prompt


@dataclass(frozen=True, slots=True)
class Pictures:
    """Implements core.interfaces.Prepare. `read` tells what fetched or shrunk bytes are; it raises BadRowError for others.

    Without `fetch` addresses are passed on as they are, without `shrink` pictures are.
    """

    read: Callable[[bytes], Image]
    fetch: Fetch | None = None
    shrink: Shrink | None = None

    async def __call__(self, prompt: Prompt) -> Prompt:
        messages = [await self._prepared(each) for each in prompt.messages]
        return replace(prompt, messages=tuple(messages))

    async def _prepared(self, message: Message) -> Message:
        if not any(isinstance(each, Image) for each in message.parts):
            return message
        return replace(message, parts=tuple([await self._part(each) for each in message.parts]))

    async def _part(self, part: Content) -> Content:
        if not isinstance(part, Image):
            return part
        image = part
        if image.url is not None and self.fetch is not None:
            image = self.read(await self.fetch(image.url))
        if image.data is not None and self.shrink is not None:
            image = self.read(await self.shrink(image.data))
        return image


@asynccontextmanager
async def preparing(config: Config) -> AsyncIterator[Prepare | None]:
    """Open what the config's pictures need, and close it at the end; None where they are sent as they are."""
    async with AsyncExitStack():
        yield None
