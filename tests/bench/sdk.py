"""What users write today: the openai SDK, gather and a semaphore: python -m tests.bench.sdk SOURCE URL OUTPUT CONCURRENCY"""

import asyncio
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from openai import AsyncOpenAI


async def ask_all(texts: list[str], url: str, concurrency: int) -> list[str | None]:
    client = AsyncOpenAI(base_url=url, api_key="none")
    semaphore = asyncio.Semaphore(concurrency)

    async def ask(text: str) -> str | None:
        async with semaphore:
            answer = await client.chat.completions.create(model="any", messages=[{"role": "user", "content": text}])
            return answer.choices[0].message.content

    return await asyncio.gather(*(ask(text) for text in texts))


def main(source: str, url: str, output: str, concurrency: str) -> None:
    texts = pq.read_table(source)["text"].to_pylist()
    answers = asyncio.run(ask_all(texts, url, int(concurrency)))
    pq.write_table(pa.table({"text": texts, "completion": answers}), output)
    print(json.dumps({"ok": sum(each is not None for each in answers)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
