"""A file that takes its name when it is whole and on disk, or leaves no trace."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pipeline.core.errors import ConfigError, StoppedError


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Give a file beside `target` to write; it takes the place of what is there when the block ends well.

    Raises ConfigError for a place that will not do, StoppedError if the disk is full.
    """
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except FileNotFoundError:
        raise ConfigError(f"{target}: its folder does not exist") from None
    except (PermissionError, IsADirectoryError) as error:
        raise ConfigError(f"{target}: cannot be written: {(error.strerror or 'no permission').lower()}") from None
    except OSError as error:
        raise StoppedError(f"{target}: cannot be written: {(error.strerror or type(error).__name__).lower()}") from None
    finally:
        with suppress(OSError):  # what went wrong before is what counts
            temporary.unlink(missing_ok=True)
