"""YAML as a config needs it: text in, plain values out, without what surprises people or lets a file do harm.

Refused: aliases (a few lines of them can fill the memory), tags, keys given twice. Read as YAML 1.2 does, where PyYAML still
follows 1.1: `no` and `on` are text, `22:30` is text and not 1350, `1e-3` is a number, a date is text.
"""

import re
from collections.abc import Hashable
from typing import Any

import yaml

from pipeline.core.errors import ConfigError

_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[Any, Any] = {}  # SafeLoader's own are those of YAML 1.1

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.events.AliasEvent):
            raise _refused("aliases (*name) are not allowed; write the value out", event)
        if getattr(event, "tag", None) is not None:
            raise _refused("tags (!name) are not allowed; put text in quotes", event)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):  # the other kind is refused below
                if key in seen:
                    raise _refused(f"the key {key!r:.60} is given twice", key_node)
                seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_whole_number(self, node: Any) -> int:
        return int(node.value)


def _refused(problem: str, where: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, where.start_mark)


_NUMBER = r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", tuple("tTfF")),
    ("int", r"[-+]?[0-9]+", tuple("-+0123456789")),
    ("float", _NUMBER, tuple("-+0123456789.")),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), list(_first))
_Loader.add_constructor(_TAG + "int", _Loader.construct_whole_number)


def parse(content: str | bytes, name: str) -> object:
    """Read one YAML document. Raises ConfigError that begins with `name` and says where the mistake is."""
    try:
        return yaml.load(content, _Loader)  # noqa: S506 -- a SafeLoader, made stricter
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{name}{where}: not valid YAML: {problem}{_hint(content)}") from None
    except RecursionError:
        raise ConfigError(f"{name}: not valid YAML: nested too deeply") from None
    except ValueError:
        raise ConfigError(f"{name}: not valid YAML: a number with thousands of digits") from None


def _hint(content: str | bytes) -> str:
    """Say what a template without quotes needs: to YAML, {{ is the beginning of a mapping."""
    start = content[:2] if isinstance(content, str) else content[:2].decode("latin-1")
    return '; a template needs quotes: "{{ title }}"' if start == "{{" else ""
