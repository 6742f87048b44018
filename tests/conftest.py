"""For all tests: an S3 server on loopback, and hypothesis asserts no time: on a busy machine any example may take a second."""

import secrets
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.storage.proxy import Proxy
from tests.storage.scripted import ScriptedStore
from tests.storage.server import S3Server
from tests.storage.watched import Watched

settings.register_profile("rowcall", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rowcall")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """Give the server, with an environment in which rowcall finds it."""
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    return s3_server


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """Give a bucket of the test's own."""
    return s3.make_bucket(f"bucket-{secrets.token_hex(4)}")


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[ScriptedStore]:
    with ScriptedStore() as store:
        yield store


@pytest.fixture
def scripted_store(scripted_server: ScriptedStore, monkeypatch: pytest.MonkeyPatch) -> ScriptedStore:
    """Give a store that does as it is told, empty, with an environment in which rowcall finds it and tries twice."""
    for name, value in {**scripted_server.env, "AWS_MAX_ATTEMPTS": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    scripted_server.begin_anew({})
    return scripted_server


@pytest.fixture
def proxy(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Give what stands before the server, for rowcall alone: the test reaches the bucket past it."""
    with Proxy(s3.url) as standing:
        monkeypatch.setenv("AWS_ENDPOINT_URL", standing.url)
        yield standing


@pytest.fixture
def watched(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Give what stands before the server and notes its answers, with an environment in which rowcall tries twice."""
    with Watched(s3.url) as it:
        monkeypatch.setenv("AWS_ENDPOINT_URL", it.url)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
        yield it
