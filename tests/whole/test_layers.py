"""Who may import whom: the architecture's table, checked against the imports as they stand in the source."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeline

ROOT = Path(pipeline.__file__).parent
STAGES = ("config", "sources", "prompts", "pictures", "providers", "checkpoint", "simulate", "engine", "evaluate")
# Package -> packages it may import, besides itself and `version`.
ALLOWED = {
    "core": set[str](),
    **{name: {"core"} for name in STAGES},
    "storage": {"core"},
    **{name: {"core", "storage"} for name in ("sources", "prompts", "checkpoint")},
    "distributed": {"core", "engine"},
    "observe": {"core", "checkpoint"},
    "jobs": {"core", "distributed", "observe", "storage", *STAGES},
    "cli": {"core", "jobs", "config", "observe", "simulate"},
    "__main__": {"cli"},
    "__init__": {"core", "jobs"},
    "version": set[str](),
}
MODULES = sorted(ROOT.rglob("*.py"))


def imports(node: ast.AST) -> Iterator[str]:
    """Give every module imported anywhere in it, but not what only a type checker sees."""
    children: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = list(node.orelse)
    elif isinstance(node, ast.Import):
        yield from (each.name for each in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: imports are written from the top"
        # `from pipeline import x` may name a package.
        yield from (f"{node.module}.{each.name}" for each in node.names) if node.module == "pipeline" else [str(node.module)]
    for child in children:
        yield from imports(child)


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def forbidden(package: str, source: str) -> list[str]:
    found = []
    for name in imports(ast.parse(source)):
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if top == "pipeline":
            if other and other not in {package, "version", "__version__", *ALLOWED[package]}:
                found.append(name)
        elif package == "core" and top not in sys.stdlib_module_names:
            found.append(name)
    return found


def test_every_package_stands_in_the_table() -> None:
    assert {package_of(path) for path in MODULES} == set(ALLOWED)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_package_may(path: Path) -> None:
    assert forbidden(package_of(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("package", "source"),
    [
        pytest.param("core", "import orjson", id="core-third-party"),
        pytest.param("core", "from pipeline.config import Config", id="core-upwards"),
        pytest.param("sources", "def read():\n    from pipeline.prompts import names", id="sibling-inside-a-function"),
        pytest.param("engine", "if True:\n    import pipeline.jobs.run", id="engine-jobs"),
        pytest.param("jobs", "from pipeline import cli", id="package-by-name"),
        pytest.param("cli", "import pipeline.checkpoint", id="cli-past-jobs"),
        pytest.param("core", "if TYPE_CHECKING:\n    pass\nelse:\n    import orjson", id="else-of-type-checking"),
    ],
)
def test_the_check_sees_what_is_forbidden(package: str, source: str) -> None:
    assert len(forbidden(package, source)) == 1


def test_types_may_come_from_anywhere() -> None:
    assert forbidden("core", "if TYPE_CHECKING:\n    import pyarrow") == []
