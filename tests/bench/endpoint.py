"""What is asked: nginx where it can be had and no delay is wanted, else the small server of server.py. Ended on leaving."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.machine import cpu_seconds, nginx_version
from tests.bench.server import ANSWER

# One process, so that one id ends it. Temporary files lie in its own folder: the ones it was built with are root's.
_CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; client_max_body_size 0; client_body_buffer_size 1m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096; default_type application/json;
    location = /v1/chat/completions {{ return 200 '{answer}'; }}
  }}
}}
"""


class Endpoints:
    """Starts servers on the core that is theirs."""

    def __init__(self, folder: Path, core: str, nginx: str | None) -> None:
        self._folder = folder
        self._core = core
        self._nginx = nginx
        self._pid = 0

    def cpu(self) -> float:
        """Give the CPU seconds that the server now running has used since it started; 0 where the system does not say."""
        return cpu_seconds(self._pid)

    @contextmanager
    def at_once(self) -> Iterator[str]:
        """Give the base URL of an endpoint that answers at once."""
        if self._nginx is None:
            with self.delayed(0) as url:
                yield url
            return
        port = _free_port()
        config = self._folder / "nginx.conf"
        config.write_text(_CONFIG.format(folder=self._folder, port=port, answer=ANSWER))
        with self._started([self._nginx, "-e", "stderr", "-p", str(self._folder), "-c", str(config)]) as process:
            _await_port(process, port)
            yield f"http://127.0.0.1:{port}/v1"

    @contextmanager
    def delayed(self, delay: float, slow: float = 0) -> Iterator[str]:
        """Give the base URL of an endpoint that answers after so many seconds; bodies marked as slow after `slow`."""
        with self._started([sys.executable, "-m", "tests.bench.server", str(delay), str(slow)]) as process:
            yield _said_url(process)

    @contextmanager
    def objects(self, file: Path, number: int) -> Iterator[str]:
        """Give the URL of an S3 server of so many objects, each with what the file holds. To be started before an endpoint."""
        with self._started([sys.executable, "-m", "tests.bench.store", str(file), str(number)]) as process:
            yield _said_url(process)

    @contextmanager
    def _started(self, command: list[str]) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            if self._core:
                os.sched_setaffinity(process.pid, [int(self._core)])
            self._pid = process.pid
            yield process
        finally:
            process.terminate()
            process.wait()


def _said_url(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    if not url:
        sys.exit("bench: the server did not start")
    return url


def find_nginx() -> str | None:
    """Give the path of nginx: the machine's own, else from Debian's package, else None."""
    own = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    return own or _unpacked(Path(sys.prefix, "nginx"))


def _unpacked(place: Path) -> str | None:
    """Unpack Debian's package beside the Python libraries: that takes no root, and starts no service on port 80."""
    program = place / "usr/sbin/nginx"
    if not program.exists() and shutil.which("apt-get"):
        print(f"bench: unpacking Debian's nginx into {place}; nothing is installed", file=sys.stderr, flush=True)
        place.mkdir(exist_ok=True)
        # Lists that are old or missing are fetched where that is allowed.
        if not _did("apt-get", "download", "nginx", within=place) and _did("apt-get", "update", within=place):
            _did("apt-get", "download", "nginx", within=place)
        for package in place.glob("nginx_*.deb"):
            _did("dpkg-deb", "-x", package.name, ".", within=place)
    return str(program) if program.exists() and _did(str(program), "-v", within=place) else None


def _did(*command: str, within: Path) -> bool:
    try:
        return subprocess.run(command, cwd=within, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def answered_by(nginx: str | None) -> str:
    if nginx is None:
        return "The answers came from a small server that is part of the benchmark"
    return f"The answers came from nginx {nginx_version(nginx)} (A, C, D) and a small server that waits (B, slow tail)"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _await_port(process: "subprocess.Popen[str]", port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit("bench: nginx did not start; --no-nginx does without it")
