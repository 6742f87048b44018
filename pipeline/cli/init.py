"""rowcall init: write a config to start from."""

from pathlib import Path

import click

from pipeline.cli.options import volume_options
from pipeline.cli.say import say
from pipeline.config.starter import json_schema, starter
from pipeline.core.errors import ConfigError


@click.command("init")
@click.argument("file", type=click.Path(path_type=Path), default=Path("rowcall.yaml"))
@click.option("--provider", type=click.Choice(["segmind", "openai"]), default="segmind", show_default=True)
@click.option("--images", is_flag=True, help="For a job that sends pictures.")
@click.option("--schema", is_flag=True, help="Print the config's JSON Schema for editors instead.")
@volume_options
def command(file: Path, provider: str, images: bool, schema: bool, verbose: int, quiet: bool) -> None:
    """Write a commented config to FILE (rowcall.yaml), or to standard output for `-`."""
    if schema:
        say([json_schema().rstrip()])
        return
    text = starter(provider, images=images)
    if str(file) == "-":
        say([text.rstrip()])
        return
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise ConfigError(f"{file}: exists already; give another name, or remove it") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {(error.strerror or 'unknown').lower()}") from None
    if not quiet:
        say([f"{file} written. Edit it, then: rowcall check {file}"])
