"""Amazon S3 and what speaks like it (MinIO, Ceph, R2 …): pyarrow reads, boto3 puts and lists.

Both look for credentials where the AWS tools do: AWS_ACCESS_KEY_ID and the like, AWS_PROFILE and ~/.aws, a role of the
machine or container. AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL names another server than Amazon's.
"""

import os
import posixpath
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import IO, Any

from pyarrow import fs

from pipeline.core.errors import ConfigError
from pipeline.core.extras import missing_extra
from pipeline.storage.s3_listing import scan

_TRIES = 8  # unless AWS_MAX_ATTEMPTS says otherwise, as to the AWS tools
_CONNECT_S, _REQUEST_S = 10.0, 60.0


def arrow_file_system(bucket: str, endpoint: str | None) -> fs.FileSystem:
    """Reach S3 for reading. Where nothing says which region the bucket is in, Amazon is asked."""
    if endpoint and not endpoint.startswith(("http://", "https://")):  # pyarrow would try https for as long as it tries at all
        raise ConfigError(
            f"AWS_ENDPOINT_URL: found {endpoint!r:.60}, allowed: http:// or https:// and a host, such as https://host:9000"
        )
    options: dict[str, Any] = {"endpoint_override": endpoint} if endpoint else {}
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region is None and endpoint is None:
        region = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        region=region,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_tries()),
        connect_timeout=_CONNECT_S,
        request_timeout=_REQUEST_S,
        **options,
    )


def _tries() -> int:
    said = os.environ.get("AWS_MAX_ATTEMPTS", "")
    return max(int(said), 1) if said.isdecimal() else _TRIES


class Uploads:
    """Implements store.Writer and store.Lister. boto3 tries again, checks sums, and takes back an upload that fails half way."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def put(self, key: str, file: IO[bytes]) -> None:
        self._client.upload_fileobj(file, self._bucket, key)

    def copy(self, key: str, to: str) -> None:
        self._client.copy({"Bucket": self._bucket, "Key": key}, self._bucket, to)  # in pieces where it is larger than 5 GB

    def delete(self, key: str) -> None:
        # pyarrow would see to it that the folder stays, by an empty object of its name.
        self._client.delete_object(Bucket=self._bucket, Key=key)

    def abort_stale(self, keys: Sequence[str]) -> int:
        wanted = set(keys)
        pages = self._client.get_paginator("list_multipart_uploads")
        stale = [
            (each["Key"], each["UploadId"])
            for folder in {posixpath.dirname(each) for each in keys}
            for page in pages.paginate(Bucket=self._bucket, Prefix=f"{folder}/" if folder else "")
            for each in page.get("Uploads", ())
            if each["Key"] in wanted
        ]
        for key, upload in stale:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
        return len(stale)

    def scan(self, prefix: str) -> Iterator[tuple[str, int, int]] | None:
        """Give key, size and seconds of all below a prefix; None without boto3 or credentials, where Arrow has to do."""
        try:
            known = self._session.get_credentials() is not None
        except ConfigError:
            return None
        return scan(self._client, self._bucket, prefix) if known else None

    @cached_property
    def _client(self) -> Any:
        session = self._session
        from botocore.config import Config

        tries = {"total_max_attempts": _tries(), "mode": "standard"}
        return session.client("s3", config=Config(connect_timeout=_CONNECT_S, read_timeout=_REQUEST_S, retries=tries))

    @cached_property
    def _session(self) -> Any:
        return imported_boto3().Session()


def imported_boto3() -> Any:
    """Import boto3. Raises ConfigError where it is not installed."""
    try:
        import boto3
    except ImportError:
        raise ConfigError(f"output.path: writing to s3:// needs boto3: {missing_extra('s3')}") from None
    return boto3
