"""Reports as jobs would give them, made up: a captioning job with failures and hostile rows in it, and a text job."""

import csv
import io
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from PIL import Image

from pipeline.core.timeline import Moment
from pipeline.observe.report.types import Bin, Failures, PastRun, Report, ShownRow

DATA = Path(__file__).parents[3] / "data"
BEGAN = 1_790_000_000.0
RIGHT_TO_LEFT, LINE_SEPARATOR = "\u202e", "\u2028"
HOSTILE = (
    "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">",
    "</script><script>document.title = 'owned'</script>",
    "<!-- <script> --> ]]> {{ 7*7 }} {% raw %} &lt;b&gt; &amp;",
    f"javascript:alert(1){LINE_SEPARATOR}next{RIGHT_TO_LEFT}gnp.exe",
    "\x1b]0;owned\x07\x1b[31mred\x00 half \ud800 \r\nline",
    '=HYPERLINK("http://127.0.0.1:9/","click")',
    '" onmouseover="document.title=\'owned\'" x="',
    "https://127.0.0.1:9/x.png <link rel=stylesheet href=//127.0.0.1:9/x.css>",
)
_REFUSAL = "I'm sorry, but I can't help with identifying people in pictures."
_ERRORS = (
    ("bad_row", None, "the picture cannot be fetched: 404 Not Found (images.example/2291.jpg)"),
    ("content_policy", 400, "Your request was rejected by the safety system."),
    ("timeout", None, "no answer within 120 s, after 6 attempts"),
    ("server_error", 500, "Internal Server Error: CUDA out of memory. Tried to allocate 2.10 GiB"),
)


def captioning(rows: int = 400, *, hostile: Sequence[str] = HOSTILE) -> Report:
    """Give a captioning job that was stopped once and has failures; the first rows are hostile."""
    chance = random.Random(7)
    pictures = {path.name: _thumbnail(path) for path in sorted((DATA / "photos").glob("*.jpg"))}
    with (DATA / "photos.csv").open(encoding="utf-8", newline="") as file:
        photos = list(csv.DictReader(file))
    gallery = [_hostile(number, text, pictures["cat.jpg"]) for number, text in enumerate(hostile)]
    for number in range(rows - len(hostile)):
        gallery.append(_captioned(chance, 12 * number + 8, photos[number % len(photos)], pictures))
    return _report(
        gallery,
        title="captions.parquet",
        pictured=True,
        chosen=f"{len(gallery):,} of 5,000 rows are here: all 61 that failed or were marked, and the rest evenly spread.",
        captions={
            "checked": 4598,
            "truncated": 143,
            "refused": 12,
            "empty": 4,
            "duplicates": 31,
            "duplicates_estimated": True,
            "loops": 7,
            "words": {"p5": 12, "p50": 25, "p95": 38, "longest": 161},
            "stock_phrases": {"the image shows": 812, "this is a photo of": 240, "in the background": 97, "appears to be": 41},
        },
    )


def answering(rows: int = 300) -> Report:
    """Give a text job, all of it done and shown."""
    chance = random.Random(8)
    with (DATA / "questions.csv").open(encoding="utf-8", newline="") as file:
        questions = list(csv.DictReader(file))
    gallery = [_hostile(number, text, None) for number, text in enumerate(HOSTILE)]
    for number in range(rows - len(HOSTILE)):
        asked = questions[number % len(questions)]
        gallery.append(
            ShownRow(
                number + len(HOSTILE),
                "ok",
                f"Answer in one word or number.\n\n{asked['question']}",
                chance.choice(
                    [asked["answer"], f"{asked['answer']}. " + "To see why, take it step by step. " * chance.randrange(12)]
                ),
                "stop",
                references=(asked["answer"],),
                completion_tokens=chance.randrange(4, 200),
                latency_s=chance.lognormvariate(-0.4, 0.4),
            )
        )
    return _report(gallery, title="answers.parquet", pictured=False, chosen=None, captions={})


def bare() -> Report:
    """Give a job that has not sent anything."""
    nothing: dict[str, object] = {"rows": 3, "ok": 0, "failed": 0, "pending": 3, "stopped": None, "latency_s": {"p50": None}}
    return Report("new.parquet", BEGAN, "0.1.0", nothing, {}, {}, [], [], [], [], [], [], [], False, [])


def _thumbnail(path: Path) -> bytes:
    with Image.open(path) as image:
        image.thumbnail((320, 320))
        out = io.BytesIO()
        image.convert("RGB").save(out, "JPEG", quality=75)
    return out.getvalue()


def _hostile(number: int, text: str, picture: bytes | None) -> ShownRow:
    failed = number % 3 == 2
    return ShownRow(
        number,
        "failed" if failed else "ok",
        text,
        None if failed else text,
        None if failed else text,
        references=(text, "a plain reference"),
        error_kind=text if failed else None,
        error=text if failed else None,
        pictures=(picture,) if picture and number % 2 else (),
        no_picture=text if picture and not number % 2 else None,
        marks=(text,),
        name=text,
    )


def _captioned(chance: random.Random, index: int, photo: dict[str, str], pictures: dict[str, bytes]) -> ShownRow:
    prompt = f"Describe this picture in one sentence. It is titled “{photo['title']}”."
    references = (photo["caption_a"], photo["caption_b"])
    shown = (pictures[photo["file"]],)
    draw = chance.random()
    if draw < 0.1:
        kind, http, error = chance.choice(_ERRORS)
        missing = kind == "bad_row"
        why = "cannot be fetched: 404 Not Found" if missing else None
        return ShownRow(
            index, "failed", prompt, None, None, references, kind, error, http, () if missing else shown, why, name=photo["file"]
        )
    text, finish, marks = photo["caption_a"], "stop", ()
    if draw < 0.16:
        text, finish, marks = f"The image shows {text[0].lower()}{text[1:]}"[:90], "length", ("truncated", "stock phrase")
    elif draw < 0.19:
        text, marks = _REFUSAL, ("refused",)
    elif draw < 0.21:
        text, marks = "", ("empty",)
    elif draw < 0.23:
        text, finish, marks = "A wall of bricks and " + "bricks and more bricks and " * 40, "length", ("truncated", "loops")
    elif draw < 0.3:
        text, marks = f"The image shows {text[0].lower()}{text[1:]}", ("stock phrase",)
    elif draw < 0.34:
        shown *= 3
    return ShownRow(
        index,
        "ok",
        prompt,
        text,
        finish,
        references,
        pictures=shown,
        completion_tokens=len(text.split()) * 4 // 3,
        latency_s=chance.lognormvariate(0.4, 0.5),
        cost=0.00021,
        marks=marks,
        name=photo["file"],
    )


def _report(
    gallery: Sequence[ShownRow], *, title: str, pictured: bool, chosen: str | None, captions: dict[str, object]
) -> Report:
    chance = random.Random(9)
    failed = [each for each in gallery if each.status == "failed"]
    kinds = Counter(each.error_kind or "" for each in failed)
    first, second = _moments(BEGAN, 420, 2600, outage=(200, 260)), _moments(BEGAN + 9000, 300, 2050, outage=None)
    done = first[-1].done + second[-1].done
    pending = 350 if pictured else 0
    return Report(
        title=title,
        made=BEGAN + 9600,
        version="0.1.0",
        summary={
            "rows": done + pending,
            "ok": done - len(failed),
            "failed": len(failed),
            "pending": pending,
            "resumed": first[-1].done,
            "requests": second[-1].requests,
            "retries": 190,
            "throttled": second[-1].throttled,
            "ambiguous": 2,
            "prompt_tokens": 1_482_113,
            "completion_tokens": 213_020,
            "cost": 1.0371 if pictured else None,
            "seconds": 300.2,
            "rows_per_second": 6.83,
            "latency_s": {"p50": 1.491, "p95": 3.62, "p99": 5.9},
            "finish_reasons": {"stop": done - 240, "length": 143, "content_filter": 12},
            "errors": dict(kinds),
            "empty": 4,
            "limit": None,
            "stopped": "the deadline has passed" if pending else None,
            "exit_code": 3,
            "output": None,
        },
        config={
            "input": {"path": "photos.parquet", "image": "photo"},
            "prompt": {"system": None, "template": "Describe this picture in one sentence.\nIt is titled “{{ title }}”."},
            "endpoint": {"provider": "openai", "model": "some-vision-model", "api_key_env": "OPENAI_API_KEY", "headers": {}},
            "limits": {"concurrency": 64, "requests_per_minute": None, "adaptive": True},
            "output": {"path": title, "columns": ["title", "category"]},
        },
        captions=captions,
        runs=[
            PastRun(1, BEGAN, 420, first[-1].done, first[-1].requests, "interrupted (SIGINT)"),
            PastRun(2, BEGAN + 6000, None, 0, 0, "died without a word"),
            PastRun(3, BEGAN + 9000, 300.2, second[-1].done, second[-1].requests, "stopped early: the deadline has passed"),
        ],
        timelines=[first, second],
        latencies=_bins([chance.lognormvariate(0.4, 0.5) for _ in range(4000)], lambda at: 0.2 * 1.25**at, 20),
        prompt_tokens=_bins([chance.gauss(320, 40) for _ in range(4000)], lambda at: 200 + 12.0 * at, 20),
        completion_tokens=_bins([chance.gauss(34, 9) for _ in range(4000)], lambda at: 4.0 * at, 20),
        words=_bins([chance.gauss(25, 7) for _ in range(4000)], lambda at: 3.0 * at, 20) if pictured else [],
        failures=[
            Failures(
                kind,
                number,
                [(each.index, each.error or "") for each in failed if each.error_kind == kind][:5],
                {each.index: each.name for each in failed if each.name},
            )
            for kind, number in kinds.most_common()
        ],
        pictured=pictured,
        gallery=gallery,
        chosen=chosen,
    )


def _bins(values: Sequence[float], edge: Callable[[int], float], number: int) -> list[Bin]:
    edges = [edge(each) for each in range(number + 1)]
    return [Bin(low, high, sum(low <= value < high for value in values)) for low, high in pairwise(edges)]


def _moments(began: float, seconds: int, rows: int, *, outage: tuple[int, int] | None) -> list[Moment]:
    chance, moments, done, throttled = random.Random(rows), [], 0.0, 0
    limit = 1.0
    for second in range(0, seconds + 1, 3):
        held = None
        if outage and outage[0] <= second < outage[1]:
            held, limit = "an outage", 1.0
        elif 90 <= second < 105:
            held, limit = "rate_limited", 40.0
            throttled += chance.randrange(9)
        else:
            limit = min(64.0, limit * 1.3)
            throttled += chance.random() < 0.1
        in_flight = 0 if held else min(round(limit), 12 + round(40 * abs(math.sin(second / 40)) + chance.random() * 12))
        done += in_flight / 20
        requests = round(done * 1.05) + throttled
        moments.append(
            Moment(
                began + second,
                round(done),
                round(done / 60),
                requests,
                throttled,
                round(done * 300),
                in_flight,
                round(limit),
                held,
            )
        )
    scale = rows / done
    return [
        replace(each, done=round(each.done * scale), failed=round(each.failed * scale), requests=round(each.requests * scale))
        for each in moments
    ]
