"""Options that verbs share, and how they become a job."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pipeline.config import Config, Override, load_config, parse_set
from pipeline.core.errors import ConfigError
from pipeline.core.locations import Location, is_remote
from pipeline.version import __version__

Decorator = Callable[[Callable[..., None]], Callable[..., None]]

# Option -> config key.
_KEYS = {
    "input": "input.path",
    "output": "output.path",
    "prompt": "prompt.user",
    "system": "prompt.system",
    "image": "prompt.images",
    "url": "endpoint.url",
    "provider": "endpoint.provider",
    "model": "endpoint.model",
    "concurrency": "limits.concurrency",
    "engine": "engine.kind",
}


class _OneALine(click.types.StringParamType):
    """Text that may be given several times; in an environment variable one a line, for paths and templates hold spaces."""

    def split_envvar_value(self, rv: str) -> list[str]:
        return [line for line in rv.split("\n") if line.strip()]


ONE_A_LINE = _OneALine()


class _Path(click.Path):
    """A local path. A location, of which it would make s3:/bucket/key, is refused with what the user can do instead."""

    def __init__(self, instead: str) -> None:
        super().__init__(path_type=Path)
        self._instead = instead

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if isinstance(value, str) and is_remote(value):
            raise ConfigError(f"{value}: {self._instead}")
        return super().convert(value, parameter, context)


class _Place(click.Path):
    """A local path, or a location in a store."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str) or not is_remote(value):
            return super().convert(value, parameter, context)
        try:
            return Location.parse(value)
        except ValueError as error:
            raise ConfigError(f"{value}: {error}") from None


CONFIG = _Path("a config is read from a local disk; copy it there")
JOB = _Path("an output in a store has its record elsewhere; name the job's config, whose checkpoint.dir says where")
FILE = _Path("this is written to a local disk only; give a local path, and copy it from there")
TABLE = _Place(path_type=Path)


def _refuse_key(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.UsageError(
            "no option takes a key: everybody on this machine sees a command's arguments. Put it into an environment variable"
            " and name that: --set endpoint.api_key_env=NAME"
        )


def job_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Add what `run` and `check` share. They win over the config, and --set wins over them."""
    for add in reversed(
        (
            click.argument("config", required=False, type=CONFIG),
            click.option(
                "-i",
                "--input",
                multiple=True,
                type=ONE_A_LINE,
                metavar="PATH",
                help="File, folder or glob to read, also s3://bucket/…; repeatable.",
            ),
            click.option(
                "-o", "--output", metavar="PATH", help="FILE.parquet, or a folder; also s3://bucket/…, with checkpoint.dir."
            ),
            click.option("-p", "--prompt", metavar="TEMPLATE", help="Jinja2 over the row's columns: 'Describe {{ title }}'."),
            click.option("-s", "--system", metavar="TEMPLATE", help="Template of the system message."),
            click.option("--image", multiple=True, type=ONE_A_LINE, metavar="COLUMN", help="Column with images; repeatable."),
            click.option("--url", metavar="URL", help="Post to exactly this address."),
            click.option("--provider", metavar="NAME", help="segmind, openai or simulated."),
            click.option("-m", "--model", metavar="NAME", help="Model, as the endpoint calls it."),
            click.option("-c", "--concurrency", type=int, metavar="N", help="Requests in flight at most."),
            click.option(
                "--set", multiple=True, type=ONE_A_LINE, metavar="KEY=VALUE", help="Any config key, dotted; repeatable."
            ),
            # Not there but for what it says: whoever tries it learns the way.
            click.option(
                *("--api-key", "--api_key", "--key", "--token", "refused"),
                hidden=True,
                is_eager=True,
                expose_value=False,
                callback=_refuse_key,
                allow_from_autoenv=False,
            ),
            click.option(
                "-n", "--limit", type=click.IntRange(min=0), metavar="N", help="Rows from N on do not exist for this run."
            ),
        )
    ):
        verb = add(verb)
    return verb


def volume_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Add what every verb has."""
    verb = click.version_option(__version__, message="rowcall %(version)s")(verb)
    verb = click.option("-q", "--quiet", is_flag=True, help="Silent unless something is wrong.")(verb)
    return click.option("-v", "--verbose", count=True, help="Say more.")(verb)


def config_of(config: Path | None, given: dict[str, Any]) -> Config:
    """Load the config with what was given on the command line laid over it. Raises ConfigError."""
    overrides = [
        Override(_KEYS[name], list(value) if isinstance(value, tuple) else value, f"--{name}")
        for name, value in given.items()
        if name in _KEYS and value is not None and value != ()
    ]
    sets: tuple[str, ...] = given["set"]
    if config is None and not overrides and not sets:
        raise click.UsageError("give a config file, or --input, --prompt, --provider, --model and --output (see --help)")
    return load_config(config, [*overrides, *map(parse_set, sets)])
