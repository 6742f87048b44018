"""What every page of ours is made with: its templates and static files, its policy, and the last look at each text it prints."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from pipeline.observe.evaluation.words import seen
from pipeline.observe.report.foreign import cell, shown
from pipeline.observe.wording import count, took


def environment() -> Environment:
    """Give templates of this package that escape all they print, and cannot print what is not there."""
    made = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(static),
    )
    made.filters |= {"cell": cell, "count": count, "took": took, "when": _when, "seen": seen}
    return made


def policy(style: str, scripts: Sequence[str]) -> str:
    """Give the policy under which a page runs: its own style and scripts by their hashes, pictures it holds, else nothing.

    Even a mistake in a script cannot make markup of text: that is what trusted types are about.
    """
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {' '.join(map(_hash, scripts))};"
        " base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def static(name: str) -> str:
    return files("pipeline.observe.report").joinpath("static", name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _seen(shows: object) -> object:
    """Pass every text that a template prints through `shown`, so that none can be forgotten; Jinja escapes it after that."""
    return shown(shows) if isinstance(shows, str) and not isinstance(shows, Markup) else shows


def _when(epoch: float) -> str:
    return datetime.fromtimestamp(epoch).astimezone().strftime("%Y-%m-%d %H:%M %Z")
