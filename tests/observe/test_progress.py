"""What a person sees of a run: exact words, and nothing a terminal would obey."""

import io

import pytest

from pipeline.core.tally import Progress, Tally, Traffic, summarize
from pipeline.observe.progress import Bar, Log, choose
from pipeline.observe.wording import clock, duration, line, short, summary_lines, took


def picture(**changes: object) -> Progress:
    values = {
        "tally": Tally(),
        "traffic": Traffic(),
        "rows": 5000,
        "resumed": 312,
        "ok": 1190,
        "failed": 14,
        "in_flight": 23,
        "per_minute": 48,
        "requests_per_minute": 50.0,
        "tokens": 1_234_567,
        "eta_s": 845.0,
    }
    return Progress(**{**values, **changes})  # type: ignore[arg-type]


def test_the_line_says_it_all():
    assert "23/64 in flight" in line(picture(limit=64))
    assert line(picture()) == "1,204/5,000 (312 resumed) ok 1,190 failed 14 · 23 in flight · 48/50 rpm · 1.2M tokens · eta 14:05"


def test_credits_are_shown_where_the_endpoint_tells_them():
    assert "1.2M tokens · credits 12.375 · eta" in line(picture(traffic=Traffic(credits=12.375)))


def test_a_hold_is_named_with_its_end():
    now = picture(held_until=1_800_000_000.0, held_by="429")
    assert line(now).endswith(f"held by 429 until {clock(1_800_000_000.0)}")


@pytest.mark.parametrize(("seconds", "text"), [(5, "00:05"), (845, "14:05"), (7265, "2:01:05"), (273_600, "3d 04:00")])
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "00:00"), (0.0764, "0.076 s"), (9.94, "9.9 s"), (9.96, "00:10"), (300.2, "05:00"), (7265.0, "2:01:05")],
)
def test_what_took_no_time_by_the_clock_has_its_seconds(seconds, text):
    assert took(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(999, "999"), (9_999, "9,999"), (12_345, "12k"), (1_234_567, "1.2M"), (2e9, "2.0G")]
)
def test_large_numbers(number, text):
    assert short(int(number)) == text


def test_without_a_terminal_there_is_a_line_every_half_minute_and_one_at_the_end():
    now, stream = [0.0], io.StringIO()
    log = Log(stream, now=lambda: now[0])
    for second in range(100):
        now[0] = float(second)
        log.progress(picture())
    log.progress(picture(finished=True))
    assert len(stream.getvalue().splitlines()) == 3 + 1


def test_a_notice_cannot_forge_lines_or_move_the_cursor():
    stream = io.StringIO()
    Log(stream).notice("row 3 said \x1b]0;pwn\x07\nrowcall: all is well\u202e")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_a_bar_is_drawn_and_closed():
    stream = io.StringIO()
    bar = Bar(stream)
    bar.progress(picture())
    bar.notice("something happened")
    bar.progress(picture(finished=True))
    assert "1,204/5,000" in stream.getvalue()
    assert "something happened" in stream.getvalue()


class Terminal(io.StringIO):
    """A stream with somebody in front of it, until `gone`."""

    gone = False

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.gone:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


@pytest.mark.parametrize(
    ("mode", "quiet", "terminal", "shown", "told"),
    [
        ("auto", False, True, "%|", True),
        ("auto", False, False, "rowcall: 1,204/", True),
        ("bar", False, False, "%|", True),
        ("log", False, True, "rowcall: 1,204/", True),
        ("none", False, True, None, True),
        ("bar", True, True, None, False),
    ],
)
def test_what_is_shown_where(mode, quiet, terminal, shown, told):
    stream = Terminal() if terminal else io.StringIO()
    watcher = choose(mode, quiet=quiet, stream=stream)
    watcher.progress(picture(finished=True))
    assert shown in stream.getvalue() if shown else not stream.getvalue()
    watcher.notice("something happened")
    assert ("something happened" in stream.getvalue()) is told


@pytest.mark.parametrize("mode", ["bar", "log", "none"])
def test_a_reader_that_has_gone_is_nobody_s_trouble(mode):
    stream = Terminal()
    watcher = choose(mode, stream=stream)
    watcher.progress(picture())
    stream.gone = True
    watcher.notice("something happened")
    stream.gone = False
    watcher.progress(picture(finished=True))
    assert "something" not in stream.getvalue()


def test_a_summary_names_what_helps_next():
    tally = Tally(ok=7, failed=3)
    tally.errors.update({"timeout": 2, "bad_row": 1})
    done = summarize(tally, Traffic(requests=12, retries=2), rows=10, resumed=0, seconds=4.0, priced=False, output="out.parquet")
    text = "\n".join(summary_lines(done))
    for words in (
        "10 rows: 7 ok, 3 failed",
        "12 requests (2 retries",
        "failed: 2 timeout",
        "--retry-failed=timeout",
        "out.parquet",
    ):
        assert words in text
    stopped = summarize(
        tally, Traffic(), rows=20, resumed=0, seconds=4.0, priced=False, stopped="the deadline has passed", stop_code=3
    )
    text = "\n".join(summary_lines(stopped))
    for words in ("10 still to do", "stopped early: the deadline has passed", "the same command goes on"):
        assert words in text


FOUND = {
    **{"checked": 1000, "truncated": 12, "refused": 3, "empty": 0, "duplicates": 1041, "duplicates_estimated": False, "loops": 2},
    **{"stock_phrases": {"The image shows": 620, "A": 20}, "words": {"p5": 8, "p50": 17, "p95": 31, "longest": 90}, "bins": []},
}
CLEAN = {**FOUND, **dict.fromkeys(("truncated", "refused", "duplicates", "loops"), 0), "stock_phrases": {"The image shows": 20}}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param(
            FOUND,
            "captions: 12 cut off, 3 refused, 1,041 duplicates, 2 loops; 62 % begin with 'The image shows';"
            " 8 to 31 words, 17 at the median",
            id="all",
        ),
        pytest.param({**CLEAN, "loops": 1}, "captions: 1 loop; 8 to 31 words, 17 at the median", id="one fault"),
        pytest.param({**CLEAN, "empty": 9, "words": {"longest": 0}}, "captions: 9 empty", id="nothing but empty ones"),
        pytest.param(
            {**CLEAN, "duplicates": 4096, "duplicates_estimated": True, "words": {}},
            "captions: 4,096 duplicates by an estimate",
            id="estimate",
        ),
        pytest.param(
            {**CLEAN, "stock_phrases": {"A \x1b[2J": 500}, "words": {}}, "captions: 50 % begin with 'A \\x1b[2J'", id="hostile"
        ),
        pytest.param(CLEAN, None, id="nothing to say"),
        pytest.param(None, None, id="no pictures"),
    ],
)
def test_a_summary_speaks_of_captions_where_something_is_wrong_with_them(found, said):
    done = summarize(Tally(ok=1000), Traffic(), rows=1000, resumed=0, seconds=4.0, priced=False, captions=found)
    assert [each for each in summary_lines(done) if each.startswith("captions")] == ([] if said is None else [said])
    # What was looked through is not yet all there is to be.
    half_done = summarize(Tally(ok=1000), Traffic(), rows=1001, resumed=0, seconds=4.0, priced=False, captions=found)
    assert not any(each.startswith("captions") for each in summary_lines(half_done))


def test_what_the_line_of_captions_counts_is_not_said_twice():
    tally = Tally(ok=1000, empty=1)
    tally.finish_reasons.update({"length": 12})
    for found, times in ((FOUND, 0), (None, 1)):
        done = summarize(tally, Traffic(), rows=1000, resumed=0, seconds=4.0, priced=False, captions=found)
        assert "\n".join(summary_lines(done)).count("12 ended by length · 1 empty") == times
