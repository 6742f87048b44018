"""An event loop for one piece of work, also where one runs already."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

R = TypeVar("R")


def in_a_loop(main: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run a coroutine function to its end, also where a loop runs already, as in a notebook."""

    import uvloop

    def go() -> R:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main())

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return go()
    done: list[R | BaseException] = []

    def in_thread() -> None:
        try:
            done.append(go())
        except BaseException as error:
            done.append(error)

    thread = threading.Thread(target=in_thread, name="rowcall-run")
    thread.start()
    thread.join()
    if isinstance(done[0], BaseException):
        raise done[0]
    return done[0]
