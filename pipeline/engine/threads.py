"""The threads of a run: one a kind of blocking work."""

from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

# Threads that read image files for rendering: reading from a disk is short, and the page cache serves most of it.
RENDER_THREADS = 4


@dataclass(slots=True)
class Threads:
    """One thread a kind of blocking work, so that commits never queue behind reads or seals."""

    commit: Executor
    read: Executor
    seal: Executor
    render: Executor | None
    _stack: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def start(cls, *, render: int) -> "Threads":
        """Start them, with so many threads for rendering; with none rows are rendered on the loop."""
        stack = ExitStack()
        commit, read, seal = (
            stack.enter_context(ThreadPoolExecutor(1, f"rowcall-{name}")) for name in ("commit", "read", "seal")
        )
        pool = stack.enter_context(ThreadPoolExecutor(render, "rowcall-render")) if render else None
        return cls(commit, read, seal, pool, stack)

    def close(self) -> None:
        self._stack.close()
