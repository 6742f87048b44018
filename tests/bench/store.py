"""An S3 server of objects that do not exist: store.py FILE OBJECTS

So many keys, each of which holds what FILE holds, so that twenty gigabytes take the room of twenty megabytes. It speaks what
readers need: lists in pages, HEAD, and GET with a range. Prints its URL and serves until it is ended; /stats says what it served.
"""

import asyncio
import os
import re
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

from aiohttp import web

BUCKET = "bench"
FOLDER = "in"
STATS = "-stats"  # no bucket may be called so
# What Amazon gives at once.
_PAGE = 1000
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


def access(url: str) -> dict[str, str]:
    """Give the environment in which an S3 server at this URL is found, with a key that it does not look at."""
    key = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
    return {**key, "AWS_ENDPOINT_URL": url}


class Objects:
    """The handlers, and what they counted: requests by kind, and bytes of objects by key."""

    def __init__(self, file: Path, number: int) -> None:
        self._file = file
        second = int(file.stat().st_mtime)  # stores list and tell whole seconds, and FileResponse rounds up
        os.utime(file, (second, second))
        seen = file.stat()
        self._size = seen.st_size
        self._modified = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.000Z"
        self._tag = f"{seen.st_mtime_ns:x}-{seen.st_size:x}"  # as FileResponse has it
        self._keys = {f"{FOLDER}/part-{each:05d}.parquet" for each in range(number)}
        self._asked: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get(f"/{STATS}", self._stats)
        app.router.add_get("/{bucket}", self._list)
        app.router.add_get("/{bucket}/", self._list)
        app.router.add_get("/{bucket}/{key:.+}", self._object)  # and HEAD
        return app

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"asked": self._asked, "bytes": self._bytes.total(), "most": max(self._bytes.values(), default=0)}
        )

    async def _list(self, request: web.Request) -> web.Response:
        if request.match_info["bucket"] != BUCKET:
            return _error(404, "NoSuchBucket")
        if request.method == "HEAD":
            return web.Response()
        self._asked["list"] += 1
        prefix, after = request.query.get("prefix", ""), request.query.get("continuation-token", "")
        most = int(request.query.get("max-keys", _PAGE))
        wanted = sorted(each for each in self._keys if each.startswith(prefix) and each > after)
        page, more = wanted[:most], len(wanted) > most
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        each = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{self._modified}</LastModified>"
            f"<ETag>&quot;{self._tag}&quot;</ETag><Size>{self._size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key in page
        )
        return _xml(
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount><MaxKeys>{most}</MaxKeys>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{each}</ListBucketResult>"
        )

    async def _object(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]
        if request.match_info["bucket"] != BUCKET or key not in self._keys:
            return _error(404, "NoSuchKey")
        if request.method == "HEAD":
            self._asked["head"] += 1
        else:
            found = _RANGE.fullmatch(request.headers.get("Range", ""))
            first, last = (int(found[1]), int(found[2])) if found else (0, self._size - 1)
            self._asked["range" if found else "whole"] += 1
            self._bytes[key] += min(last + 1, self._size) - first
        return web.FileResponse(self._file)


def _xml(text: str, status: int = 200) -> web.Response:
    return web.Response(status=status, text=f'<?xml version="1.0" encoding="UTF-8"?>\n{text}', content_type="application/xml")


def _error(status: int, code: str) -> web.Response:
    return _xml(f"<Error><Code>{code}</Code><Message>{code}</Message></Error>", status)


async def serve(file: Path, number: int) -> None:
    runner = web.AppRunner(Objects(file, number).application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{site.port}", flush=True)
    await asyncio.Event().wait()  # until it is ended


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
