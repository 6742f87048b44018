"""Row -> Prompt: the wiring of templates, conversations and images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.core.errors import BadRowError, ConfigError
from pipeline.core.interfaces import ReadSlice
from pipeline.core.locations import Location
from pipeline.core.types import Image, Message, Prompt, Row
from pipeline.prompts.folders import folder_of
from pipeline.prompts.images import images_of
from pipeline.prompts.messages import conversation
from pipeline.prompts.names import no_column
from pipeline.prompts.sparing import Sparing
from pipeline.prompts.template import Template

_INSTRUCTING = ("system", "developer")


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """What to ask. Either `user` or `messages`; `images` are columns, `root` the folder of image paths.

    `sparing`: of pictures in a store only so many are read as a page is worth, see sparing.py.
    """

    system: str | None = None
    user: str | None = None
    images: tuple[str, ...] = ()
    messages: str | None = None
    root: Path | Location | None = None
    max_bytes: int = 20_000_000
    sparing: bool = False


class Renderer:
    """Implements core.interfaces.Render.

    `columns` are the input columns it reads. `blocking` says that it may read image files, and belongs in a thread.
    """

    def __init__(self, settings: PromptSettings, columns: Sequence[str], read: ReadSlice | None = None) -> None:
        self._system = _template(settings.system, "prompt.system", columns)
        self._user = _template(settings.user, "prompt.user", columns)
        self._conversation = settings.messages
        self._images = settings.images
        self._folder = folder_of(settings.root) if settings.images and settings.root else None
        if self._folder is not None and self._folder.in_store and settings.sparing:
            self._folder = Sparing(self._folder)
        self._read = read
        self._most_bytes = settings.max_bytes
        used = {column for template in (self._system, self._user) if template for column in template.columns}
        used |= _existing("prompt.images", settings.images, columns)
        used |= _existing("prompt.messages", [settings.messages] if settings.messages is not None else [], columns)
        self.columns = tuple(name for name in columns if name in used)
        self.blocking = self._folder is not None or (bool(settings.images) and read is not None)

    def __call__(self, row: Row) -> Prompt:
        """Raise BadRowError if this row cannot be asked, StoppedError or InputChangedError if no image can be read any more."""
        said = self._said(row)
        if not self._images:
            return Prompt(row.index, said)
        images = tuple(image for column in self._images for image in self._of_column(row, column))
        return Prompt(row.index, _with_images(said, images) if images else said)

    def _of_column(self, row: Row, column: str) -> tuple[Image, ...]:
        return images_of(row.cells[column], column, folder=self._folder, read=self._read, most_bytes=self._most_bytes)

    def _said(self, row: Row) -> tuple[Message, ...]:
        """Give the row's messages, without its images."""
        if self._user is not None:
            return (*self._instructions(row), Message("user", (self._user.render(row.cells),)))
        assert self._conversation is not None
        said = conversation(row.cells[self._conversation], self._conversation)
        # A conversation that brings its own instructions keeps them: two system messages are refused by many servers.
        return said if any(message.role in _INSTRUCTING for message in said) else (*self._instructions(row), *said)

    def _instructions(self, row: Row) -> tuple[Message, ...]:
        """Give the system message; a blank one is left out, so that a template may decide by row whether there is one."""
        if self._system is None:
            return ()
        text = self._system.render(row.cells)
        return (Message("system", (text,)),) if text.strip() else ()


def build_render(settings: PromptSettings, columns: Sequence[str], *, read: ReadSlice | None = None) -> Renderer:
    """Make the renderer for an input with these columns; `read` is needed where cells of them lie in files.

    Raises ConfigError for a template, column or image folder that no row could be asked with.
    """
    if (settings.user is None) == (settings.messages is None):
        raise ConfigError("prompt: give either user (a template) or messages (a column)")
    return Renderer(settings, columns, read)


def _existing(key: str, names: Sequence[str], columns: Sequence[str]) -> set[str]:
    for name in names:
        if name not in columns:
            raise ConfigError(f"{key}: {no_column(name, columns)}")
    return set(names)


def _template(source: str | None, key: str, columns: Sequence[str]) -> Template | None:
    return Template(source, key=key, columns=columns) if source is not None else None


def _with_images(messages: tuple[Message, ...], images: tuple[Image, ...]) -> tuple[Message, ...]:
    """Append the images to the last user message, after its text if it has any."""
    for at in range(len(messages) - 1, -1, -1):
        if messages[at].role == "user":
            text = () if messages[at].parts == ("",) else messages[at].parts
            asked = replace(messages[at], parts=(*text, *images))
            return (*messages[:at], asked, *messages[at + 1 :])
    raise BadRowError("there is no user message that could carry the images")
