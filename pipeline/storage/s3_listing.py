"""Listing a bucket of S3 page by page, through boto3. Arrow takes in every key before it gives the first, at 700 bytes each.

What botocore makes of a page takes five times as long as all else. So its objects are taken out before it reads the rest, by
the event it has for that; asking, signing and trying again stay its own.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus
from xml.etree import ElementTree

_FOUND = "RowcallFound"


def scan(client: Any, bucket: str, prefix: str) -> Iterator[tuple[str, int, int]]:
    """Give key, size and time, in whole seconds, of all objects below the prefix, in the store's order."""
    client.meta.events.register("before-parse.s3.ListObjectsV2", _take_objects, unique_id="rowcall")
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get(_FOUND, ())


def _take_objects(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    if response_dict["status_code"] != 200:
        return
    try:
        root = ElementTree.fromstring(response_dict["body"])  # noqa: S314 -- expat itself bounds what entities may grow to
    except ElementTree.ParseError:
        return  # botocore has words for what is no answer of a store
    space = root.tag.removesuffix("ListBucketResult")
    encoded = root.findtext(f"{space}EncodingType") == "url"
    found = root.findall(f"{space}Contents")
    seconds: dict[str, int] = {}  # objects that were put together have the same
    customized_response_dict[_FOUND] = [_object(each, space, encoded, seconds) for each in found]
    for each in found:
        root.remove(each)
    response_dict["body"] = ElementTree.tostring(root)


def _object(found: ElementTree.Element, space: str, encoded: bool, seconds: dict[str, int]) -> tuple[str, int, int]:
    said: Mapping[str, str] = {each.tag.removeprefix(space): each.text or "" for each in found}
    at, key = said["LastModified"], said["Key"]
    if at not in seconds:
        seconds[at] = int(datetime.fromisoformat(at).timestamp())
    return unquote_plus(key) if encoded else key, int(said["Size"]), seconds[at]
