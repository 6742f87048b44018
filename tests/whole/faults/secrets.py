"""An endpoint that hands the key back in every way, and jobs that end in every way: the key must be in nothing they leave."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.whole.canary import Search
from tests.whole.faults.echoing import FATAL, PAID, REFUSED, Echo
from tests.whole.harness import CANARY, COMMAND, Bench, Ended, JobOnDisk, digest_of, make_job
from tests.whole.table import Claim, Claims

# A bug in rowcall, at a place where the key is at hand.
BUGGY = (
    *(sys.executable, "-c"),
    "import pipeline.providers.provider as it\n"
    "def broken(self, response, request):\n"
    "    key = request.headers['authorization']\n"
    "    raise KeyError(key, response.body)\n"
    "it.ChatProvider.decode = broken\n"
    "from pipeline.cli import main\n"
    "main()",
)
# rowcall without its redactor: the search must find what such a run leaves.
UNGUARDED = (
    *(sys.executable, "-c"),
    "from pipeline.core.redact import Redactor\n"
    "Redactor.text = lambda self, text, limit=500: text[:limit]\n"
    "Redactor.reply = lambda self, text: text\n"
    "Redactor.scrub = lambda self, body: body\n"
    "from pipeline.cli import main\n"
    "main()",
)
# Ways to give the key itself where its name is wanted, or to a run that takes none.
MISUSES = (
    ("--api-key", CANARY),
    (f"--api-key={CANARY}",),
    ("--set", f"endpoint.api_key_env={CANARY}"),
    ("--set", f"endpoint.headers.authorization=Bearer {CANARY}"),
    ("--set", f"endpoint.headers.x-token={CANARY}"),
    ("--set", f"endpoint.base_url=http://user:{CANARY}@127.0.0.1/v1"),
)


def secrets(bench: Bench) -> Claims:
    """Every way at once, and one claim about each thing that must hold."""
    yield from told_back(bench, FATAL, MISUSES)


def told_back(bench: Bench, fatal: Sequence[str], misuses: Sequence[Sequence[str]]) -> Claims:
    search = Search([CANARY])
    with Echo() as thief, Echo(thief.url) as echo:
        wrong = [*_mixed(bench, echo), *_endings(bench, echo, fatal)]
        wrong += [*_killed(bench, echo, search), *_misused(bench, echo, misuses)]
        seen_unguarded = _unguarded(bench, echo, search)
        wanted = {*PAID, *REFUSED, *fatal, "429", "503", "held"}
        silent = sorted(name for name in wanted if not echo.echoed.get(name))
        caught, echoes = len(thief.received), sum(echo.echoed.values())
    yield Claim(
        f"ways to end, by an endpoint that hands the key back in {len(wanted)} ways",
        "each as it should",
        f"{len(wrong)} ended otherwise {wrong[:2]}" if wrong or silent else f"all, after {echoes} answers with the key",
        not wrong and not silent,
    )
    blind = search.blind_to(CANARY, bench.root / "planted")
    planted = len(list((bench.root / "planted").iterdir()))
    files = _left_behind(bench)
    kinds = {path.suffix for path in files}
    found = search.found(files)
    seen = f"in {len(found)} of {len(files)} files {found[:4]}" if found else f"in none of {len(files)} files"
    yield Claim(
        "the key in records, outputs, exports and streams at -vv",
        "0 hits; planted ones found",
        f"the search is blind to {blind}" if blind else f"{seen}; {planted} of {planted} planted found",
        not blind and not found and kinds >= {".db", ".parquet", ".out", ".err", ".json", ".csv", ".jsonl", ".html"},
    )
    needed = {"out.parquet", "journal.db"}
    yield Claim(
        "control: the same rows without a redactor", "hits", f"in {', '.join(seen_unguarded)}", needed <= set(seen_unguarded)
    )
    yield Claim("requests that followed a redirect to another host", "0", str(caught), caught == 0)


def _left_behind(bench: Bench) -> list[Path]:
    apart = (bench.root / "planted", bench.root / "key")
    return [path for path in sorted(bench.root.rglob("*")) if path.is_file() and not any(map(path.is_relative_to, apart))]


def _job(bench: Bench, echo: Echo, name: str, answers: Sequence[str], **changes: dict[str, object]) -> JobOnDisk:
    source = bench.root / f"secrets-{name}-rows.csv"
    lines = [f"answer:{each},{digest_of(row)}\n" for row, each in enumerate(answers)]
    source.write_text("".join(["text,digest\n", *lines]))
    fast = {"max_attempts": 2, "base_delay_s": 0.05, "max_delay_s": 0.2, "max_outage_s": 1, **changes.pop("retry", {})}
    changes = {"limits": {"concurrency": 4}, **changes}
    return make_job(bench, f"secrets-{name}", source, len(answers), echo, retry=fast, **changes)  # type: ignore[arg-type]


def _unlike(what: str, ended: Ended, code: int) -> Iterator[str]:
    if ended.code != code or "Traceback" in ended.err:
        yield f"{what}: exit {ended.code} instead of {code}: {ended.err[-300:]}"


def _mixed(bench: Bench, echo: Echo) -> Iterator[str]:
    """Rows that are answered and rows that are refused, and every verb about them."""
    job = _job(bench, echo, "mixed", [*PAID, *REFUSED, *PAID])
    yield from _unlike("rows ok and failed", bench.run("run", job.config, "--json", "-vv"), 1)
    for verb in (("check", "-vv"), ("status", "-vv"), ("status", "--json", "--verify")):
        yield from _unlike(" ".join(verb), bench.run(verb[0], job.config, *verb[1:]), 0)
    for suffix in ("csv", "jsonl", "parquet"):
        file = job.output.with_name(f"now.{suffix}")
        yield from _unlike(f"export to {suffix}", bench.run("export", job.config, file, "-vv"), 0)
    yield from _unlike("a report", bench.run("report", job.config, job.output.with_name("page.html"), "-vv"), 0)
    yield from _unlike("rows asked again", bench.run("run", job.config, "--retry-failed", "-vv", "--progress", "bar"), 1)


def _endings(bench: Bench, echo: Echo, fatal: Sequence[str]) -> Iterator[str]:
    for name in fatal:
        job = _job(bench, echo, name, [name] * 6)
        yield from _unlike(f"fatal {name}", bench.run("run", job.config, "-vv"), 5)
    for name in ("429", "503"):
        job = _job(bench, echo, name, [name] * 9, retry={"max_retry_after_s": 1})
        yield from _unlike(f"stopped by {name}", bench.run("run", job.config, "-vv"), 3)
    same = _job(bench, echo, "same", ["400"] * 8, stop={"systematic_failures": 3})
    yield from _unlike("refused alike", bench.run("run", same.config, "-vv"), 5)
    bug = bench.run("run", _job(bench, echo, "bug", ["plain"] * 3).config, "-vv", command=BUGGY)
    yield from _unlike("a bug", bug, 70)
    if "KeyError" not in bug.err or "in broken" not in bug.err:
        yield f"a bug: its place is not named: {bug.err[-300:]}"
    (bench.root / "key").write_text(CANARY)
    endpoint = {"api_key_file": str(bench.root / "key"), "api_key_env": None}
    yield from _unlike("a key file", bench.run("run", _job(bench, echo, "file", PAID, endpoint=endpoint).config, "-vv"), 0)


def _killed(bench: Bench, echo: Echo, search: Search) -> Iterator[str]:
    """Kill -9 with replies on record and requests in flight; look before anything tidies up, then go on."""
    job = _job(bench, echo, "killed", [*PAID, *["held"] * 6, *PAID], limits={"concurrency": 8})
    running = bench.start("run", job.config, "-vv")
    until = time.monotonic() + 30
    while running.alive and echo.echoed.get("held", 0) < 6 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.3)  # for replies to reach the journal, and progress.json
    if not running.kill():
        yield "killed: it ended by itself"
    yield from (f"after the kill: {name}" for name in search.found([path for path in job.record.rglob("*") if path.is_file()]))
    echo.let_go()
    yield from _unlike("after the kill", bench.run("run", job.config, "-vv"), 0)


def _unguarded(bench: Bench, echo: Echo, search: Search) -> list[str]:
    """Give the files that hold the key after a run without redaction, and remove them."""
    job = _job(bench, echo, "unguarded", [*PAID, *REFUSED])
    running = bench.start("run", job.config, "-vv", command=UNGUARDED)
    running.wait()
    files = [running.out, running.err, *(path for path in job.output.parent.rglob("*") if path.is_file())]
    found = search.found(files)
    for path in files:
        path.unlink()
    return found


def _misused(bench: Bench, echo: Echo, misuses: Sequence[Sequence[str]]) -> Iterator[str]:
    job = _job(bench, echo, "misused", ["plain"] * 3)
    for misuse in misuses:
        yield from _unlike(misuse[0], bench.run("run", job.config, *misuse, command=COMMAND), 2)
