"""The bare loop, the least a program can do with aiohttp: python -m tests.bench.bare SOURCE URL OUTPUT CONCURRENCY

So many workers over one iterator, a session with what makes it fast (uvloop, orjson, one prepared URL and set of headers),
Parquet read whole and written whole. No journal, no retry, no limits, no time-out, no look at what came back but for the
text. Pictures are encoded by pybase64 and joined into the body, which is faster than to pass them through orjson as text.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator

import aiohttp
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pybase64
import uvloop
from yarl import URL


def text_body(text: str) -> bytes:
    return orjson.dumps({"model": "any", "messages": [{"role": "user", "content": text}]})


def picture_body(text: str, photo: bytes) -> bytes:
    picture = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,"}}
    content = [{"type": "text", "text": text}, picture]
    before, after = orjson.dumps({"model": "any", "messages": [{"role": "user", "content": content}]}).rsplit(b'"', 1)
    return b"".join((before, pybase64.b64encode(photo), b'"', after))


async def ask_all(bodies: Iterator[bytes], answers: list[str | None], url: str, concurrency: int) -> None:
    where = URL(f"{url}/chat/completions")
    todo = enumerate(bodies)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"Content-Type": "application/json"}) as session:

        async def worker() -> None:
            for index, body in todo:
                async with session.post(where, data=body) as answer:
                    answers[index] = orjson.loads(await answer.read())["choices"][0]["message"]["content"]

        async with asyncio.TaskGroup() as crew:
            for _ in range(concurrency):
                crew.create_task(worker())


def _bodies(table: pa.Table, texts: list[str]) -> Iterator[bytes]:
    if "body" in table.column_names:  # made before, so that nothing is left but to send them
        return iter(table["body"].to_pylist())
    if "photo" in table.column_names:
        return map(picture_body, texts, table["photo"].to_pylist())
    return map(text_body, texts)


def main(source: str, url: str, output: str, concurrency: str) -> None:
    table = pq.read_table(source)
    texts = table["text"].to_pylist()
    bodies = _bodies(table, texts)
    answers: list[str | None] = [None] * len(texts)
    began = time.perf_counter()
    uvloop.run(ask_all(bodies, answers, url, int(concurrency)))
    seconds = time.perf_counter() - began
    pq.write_table(pa.table({"text": texts, "completion": answers}), output)
    print(json.dumps({"ok": sum(each is not None for each in answers), "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
