"""What is shipped to run a job by itself is true to the exit codes: only what running again mends is run again."""

import configparser
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest
import yaml

from pipeline.cli.ending import BUG, USAGE_ERROR
from pipeline.cli.run import command as run
from pipeline.config.model import Endpoint
from pipeline.core.errors import BadRowError, RowcallError
from pipeline.jobs.signals import EXIT_AT_ONCE

NIGHTLY = Path(__file__).parents[2] / "configs" / "nightly"
README = (NIGHTLY.parents[1] / "README.md").read_text(encoding="utf-8")
AGAIN = {3, 4}  # the contract's: the same command goes on, or another run holds the job


def codes(error: type[RowcallError]) -> set[int]:
    return {error.exit_code}.union(*map(codes, error.__subclasses__()))


PERSON = (codes(RowcallError) | {BadRowError.exit_code, USAGE_ERROR, BUG, EXIT_AT_ONCE}) - AGAIN
# A stop waits for what is in flight as long as the endpoint may take, unless stop.grace_s says less.
LONGEST_GRACE = max(
    Endpoint(provider="segmind", model="m").timeout, Endpoint(provider="openai", base_url="http://127.0.0.1", model="m").timeout
)


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters="=", strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # as configparser's documentation has it
    parser.read(NIGHTLY / name, encoding="utf-8")
    return parser


def minutes(text: str) -> int:
    match = re.fullmatch(r"(\d+)(min|h)", text)
    assert match
    return int(match[1]) * {"min": 1, "h": 60}[match[2]]


def deadline_of_run(arguments: list[str]) -> str | None:
    """See that `rowcall run` takes what stands behind it; give its deadline."""
    at = next(number for number, each in enumerate(arguments) if Path(each).name == "rowcall")
    assert arguments[at + 1] == "run"
    with click.Context(run) as context:
        run.parse_args(context, arguments[at + 2 :])
    assert context.params["quiet"]
    assert str(context.params["config"]).endswith("nightly.yaml")
    deadline: str | None = context.params["deadline"]
    return deadline


def test_the_table_of_codes_is_whole():
    assert {1, 2, 5, 70, 130} == PERSON


def test_systemd_starts_again_what_that_mends_and_nothing_else():
    service = unit("rowcall.service")
    main = service["Service"]
    assert (main["Type"], main["Restart"], main["KillSignal"]) == ("oneshot", "on-failure", "SIGTERM")
    assert {int(code) for code in main["RestartPreventExitStatus"].split()} == PERSON
    assert "SuccessExitStatus" not in main, "what counts as success is not started again"
    assert 60 * minutes(main["TimeoutStopSec"]) > LONGEST_GRACE
    starts, span = int(service["Unit"]["StartLimitBurst"]), minutes(service["Unit"]["StartLimitIntervalSec"])
    assert starts * minutes(main["RestartSec"]) < span < 24 * 60, "else the limit never holds, or holds back the next night"
    assert deadline_of_run(shlex.split(main["ExecStart"])) == "06:00"
    by_hour = main["ExecCondition"].replace("$$", "$").replace("%%", "%").replace("$(date +%H)", "{:02}")
    night = [
        hour
        for hour in range(24)
        if subprocess.run(["sh", "-c", shlex.split(by_hour.format(hour))[2]], check=False).returncode == 0
    ]
    assert night == [0, 1, 2, 3, 4, 5, 22, 23], "a deadline's exit code 3 starts it again, and that must not go on by day"
    assert unit("rowcall.timer")["Timer"]["OnCalendar"]


def test_kubernetes_starts_again_what_that_mends_and_nothing_else():
    cron = yaml.safe_load((NIGHTLY / "cronjob.yaml").read_text(encoding="utf-8"))
    assert (cron["apiVersion"], cron["kind"], cron["spec"]["concurrencyPolicy"]) == ("batch/v1", "CronJob", "Forbid")
    job = cron["spec"]["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    [container] = pod["containers"]
    rules = {rule["action"]: rule for rule in job["podFailurePolicy"]["rules"]}
    assert list(rules) == ["FailJob", "Ignore", "Count"], "the first that fits is taken: no disruption hides a person's code"
    for action, wanted in (("FailJob", PERSON), ("Count", AGAIN)):
        on = rules[action]["onExitCodes"]
        assert (on["containerName"], on["operator"], set(on["values"])) == (container["name"], "In", wanted)
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] > LONGEST_GRACE
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    assert [each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")] == ["/data"]
    # A volume given to the group again at every mount would open the record to it, which the next run refuses.
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    assert pod["shareProcessNamespace"], "the first process of a namespace is not stopped by a signal it does not handle yet"
    assert all("value" not in each for each in container["env"]), "a key comes from a Secret"
    assert deadline_of_run(container["command"]) is None, "each pod would have one of its own, and 3 starts the next"
    assert job["activeDeadlineSeconds"] < 24 * 3600


def test_every_line_of_the_crontab_is_a_quiet_run():
    lines = [line for line in (NIGHTLY / "crontab").read_text().splitlines() if line and line[0] != "#" and "MAILTO" not in line]
    assert lines
    for line in lines:
        times, command = line.split(maxsplit=5)[:5], line.split(maxsplit=5)[5]
        assert all(re.fullmatch(r"\*|\d+", each) for each in times)
        assert "%" not in command, "cron makes a line break of it"
        assert deadline_of_run(shlex.split(command))


def test_what_the_readme_shows_stands_in_the_files():
    shown = re.findall(r"`(configs/nightly/[A-Za-z.]+)`[^\n]*\n\n```[a-z]+\n(.*?)```", README, re.DOTALL)
    assert {Path(path).name for path, _ in shown} == {each.name for each in NIGHTLY.iterdir()}
    for path, text in shown:
        held = (NIGHTLY / Path(path).name).read_text(encoding="utf-8").splitlines()
        for line in filter(None, text.splitlines()):
            assert any(each.strip() == line.strip() for each in held), f"{path}: {line}"


def test_the_container_is_the_command_with_what_a_night_may_need():
    base, install, entry = (NIGHTLY / "Containerfile").read_text(encoding="utf-8").splitlines()
    found = re.search(r"pip install --no-cache-dir '/src\[([a-z0-9,]+)\]'$", install)
    assert base.startswith("FROM python:3.") and entry == 'ENTRYPOINT ["rowcall"]' and found
    project = tomllib.loads((NIGHTLY.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(found[1].split(",")) == {"images", "s3"} <= set(project["optional-dependencies"])
    # What is not sent to the build cannot be installed, and nothing else may end up in an image: no key, no data.
    sent = set((NIGHTLY.parents[1] / ".dockerignore").read_text(encoding="utf-8").split())
    assert sent == {"*", *(f"!{each}" for each in ("pipeline", "pyproject.toml", project["readme"], *project["license-files"]))}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze to ask")
@pytest.mark.parametrize("name", ["rowcall.service", "rowcall.timer"])
def test_systemd_finds_nothing_wrong(tmp_path, name):
    """With a command that exists here: what is verified is the rest."""
    for each in ("rowcall.service", "rowcall.timer"):
        text = (NIGHTLY / each).read_text(encoding="utf-8")
        (tmp_path / each).write_text(text.replace("/srv/venv/bin/rowcall", "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode and "rowcall" not in done.stderr:
        pytest.skip(f"systemd-analyze does not work here: {done.stderr.strip()[:200]}")
    assert (done.returncode, done.stderr) == (0, "")
