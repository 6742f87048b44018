"""rowcall simulate: a mock endpoint in the foreground."""

import os
from pathlib import Path

import click

from pipeline.cli.options import volume_options
from pipeline.cli.say import say
from pipeline.config import read_yaml
from pipeline.core.errors import ConfigError
from pipeline.jobs.text import dumps
from pipeline.simulate import Latency, Simulator, SimulatorSettings, fault_lines, parse_chance, read_script, run_forever


@click.command("simulate")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option(
    "--latency",
    default="0.05",
    show_default=True,
    metavar="S[:SPREAD]",
    help="Median seconds, and the spread of their logarithm.",
)
@click.option(
    "--faults",
    default="0",
    show_default=True,
    metavar="P[:NAME,...]",
    help="Share of requests that meet a fault: one that passes, or one of these.",
)
@click.option("--script", type=click.Path(path_type=Path), metavar="FILE", help="Play the episodes of this YAML file first.")
@click.option("--faults-list", is_flag=True, help="Name every fault that --faults and --script can play, and exit.")
@click.option("--rpm", type=float, metavar="N", help="Requests per minute, beyond which it answers 429.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed plays the same faults.")
@click.option(
    "--wrong",
    type=click.FloatRange(0, 1),
    default=0.15,
    show_default=True,
    metavar="P",
    help="Share of questions answered wrongly on purpose.",
)
@click.option("--require-key-env", metavar="NAME", help="Want the key in this environment variable; else any or none is taken.")
@click.option("--log", type=click.Path(path_type=Path), metavar="FILE", help="Write one JSON line for each reply served.")
@volume_options
def command(
    host: str,
    port: int,
    latency: str,
    faults: str,
    script: Path | None,
    faults_list: bool,
    rpm: float | None,
    seed: int,
    wrong: float,
    require_key_env: str | None,
    log: Path | None,
    verbose: int,
    quiet: bool,
) -> None:
    """Serve OpenAI's and Segmind's paths on this machine until Ctrl-C.

    No model is behind it: it calculates, looks things up, and looks at pictures.
    """
    if faults_list:
        return say(fault_lines())
    key = os.environ.get(require_key_env) if require_key_env else None
    if require_key_env and not key:
        raise ConfigError(f"--require-key-env: the environment variable {require_key_env} is not set")
    share, names = parse_chance(faults)
    settings = SimulatorSettings(
        latency=Latency.parse(latency),
        faults=share,
        fault_names=names,
        script=None if script is None else read_script(read_yaml(script), str(script)),
        requests_per_minute=rpm,
        seed=seed,
        wrong=wrong,
        require_key=key,
        log=log,
    )

    def started(simulator: Simulator) -> None:
        if not quiet:
            say([f"simulating at {simulator.base_url} (statistics: {simulator.url}/stats); Ctrl-C ends it"])

    stats = run_forever(settings, host=host, port=port, started=started)
    if not quiet:
        say([dumps(stats)])
