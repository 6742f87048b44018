from pipeline.core.stale import WINDOW_SENDS, WINDOWS, Stale


def often_after(*windows: int) -> int | None:
    """Give the number of the send that made it often, for so many losses in each window of sends."""
    stale = Stale()
    sends = [number < lost for lost in windows for number in range(WINDOW_SENDS)]
    told = [number for number, lost in enumerate(sends, start=1) if stale.sent(lost=lost)]
    assert len(told) <= 1
    assert stale.often is bool(told)
    return told[0] if told else None


def test_a_server_that_always_closes_is_seen() -> None:
    assert often_after(100, 100, 100, 100) == WINDOWS * WINDOW_SENDS


def test_two_percent_are_ordinary() -> None:
    assert often_after(*[4] * 50) is None
    assert often_after(5, 5, 5) == WINDOWS * WINDOW_SENDS


def test_a_restart_closes_everything_once() -> None:
    assert often_after(0, 150, 150, 0, 0, 200, 200, 0) is None
