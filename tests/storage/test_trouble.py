"""What errors of a store mean, by their words: those that the libraries really say."""

import pytest

from pipeline.core.errors import StoppedError, StorageError
from pipeline.storage import trouble

AT = 'Could not connect to the endpoint URL: "http{}"'


@pytest.mark.parametrize(
    "address",
    [
        "s://bucket.s3.amazonaws.com/out/part-000403.parquet",
        "://127.0.0.1:40355/bucket/a",
        "s://store/credentials/forbidden/NoSuchKey/NotImplemented",
        "s://store/bucket/a?X-Amz-Credential=credentials",
    ],
)
def test_a_key_or_port_that_reads_like_a_refusal_is_none(address: str) -> None:
    meant = trouble("s3://bucket/key", OSError(AT.format(address)))
    assert isinstance(meant, StoppedError)


@pytest.mark.parametrize("address", ["s://user:hidden@store/b/k", "s://account.blob.core.windows.net/c/k?sv=1&sig=hidden"])
def test_no_secret_of_an_address_is_told(address: str) -> None:
    said = str(trouble("s3://bucket/key", OSError(AT.format(address))))
    assert "hidden" not in said
    assert '"https://store"' in said or '"https://account.blob.core.windows.net"' in said


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("An error occurred (403) when calling the HeadObject operation: Forbidden", "credentials"),
        ("AWS Error UNKNOWN (HTTP status 400) during HeadObject operation: No response body.", "credentials"),
        ("An error occurred (RequestTimeTooSkewed) when calling the PutObject operation: too large", "credentials"),
        ("The config profile (nightly) could not be found", "credentials"),
        ("The SSO session associated with this profile has expired or is otherwise invalid.", "credentials"),
        ("AWS Error UNKNOWN (HTTP status 301) during HeadObject operation: No response body.", "AWS_REGION"),
        ("An error occurred (NotImplemented) when calling the ListMultipartUploads operation: no", "cannot do"),
        ('Parameter validation failed: Invalid bucket name "B!": Bucket name must match the regex', "no such bucket"),
    ],
)
def test_what_no_later_run_will_find_otherwise_is_for_somebody_to_see_to(said: str, meant: str) -> None:
    found = trouble("s3://bucket/key", OSError(said))
    assert isinstance(found, StorageError)
    assert meant in str(found)


@pytest.mark.parametrize(
    "said",
    [
        "An error occurred (SlowDown) when calling the PutObject operation (reached max retries: 7): Reduce your rate",
        "AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 28, Timeout was reached",
        "AWS Error UNKNOWN (HTTP status 503) during HeadObject operation: No response body.",
    ],
)
def test_what_passes_is_waited_for(said: str) -> None:
    assert isinstance(trouble("s3://bucket/key", OSError(said)), StoppedError)
