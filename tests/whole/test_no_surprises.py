"""What the package never does: read pickles, hand its environment to other programs, speak to anybody unasked."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeline
from tests.whole.faults.echoing import Echo
from tests.whole.harness import Bench, make_job

ROOT = Path(pipeline.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "multiprocessing"}


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_unpickles_or_starts_a_program_with_our_environment(module):
    tree = ast.parse(module.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            assert not {name.partition(".")[0] for name in names} & UNPICKLERS
    for call in calls(tree):
        called = ast.unparse(call.func)
        assert called.rpartition(".")[2] not in ("read_pickle", "eval", "exec")
        if called.startswith("subprocess."):
            assert "env" in {keyword.arg for keyword in call.keywords}


def test_importing_everything_opens_no_socket():
    script = (
        "import importlib, socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('a socket')\n"
        "class Refused(socket.socket): __init__ = refuse\n"
        "socket.socket = Refused; socket.create_connection = socket.getaddrinfo = refuse\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "try: socket.socket()\n"
        "except AssertionError: print('guarded')"
    )
    names = [".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in MODULES if path.stem != "__main__"]
    done = subprocess.run([sys.executable, "-c", script, *names], capture_output=True, text=True, check=False, cwd=ROOT.parent)
    assert (done.stdout.strip(), done.stderr) == ("guarded", "")


@pytest.mark.network
def test_netrc_and_proxies_of_the_environment_are_not_used(monkeypatch, tmp_path):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://user:proxy-canary@127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password netrc-canary\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Bench() as bench, Echo() as echo:
        source = tmp_path / "rows.csv"
        source.write_text("text,digest\na,b\n")
        job = make_job(bench, "own", source, 1, echo, endpoint={"api_key_env": None})  # type: ignore[arg-type]
        ended = bench.run("run", job.config, "-vv")
        assert ended.code == 0, ended.err
    assert ended.err.count("HTTP_PROXY is set and not used") == 1
    assert "canary" not in ended.err
    (received,) = echo.received
    assert b"uthorization" not in received
    assert b"canary" not in received
