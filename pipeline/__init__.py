"""rowcall: every row of a dataset to a chat-completion endpoint, every answer once."""

from pipeline.version import __version__

__all__ = ["__version__"]
