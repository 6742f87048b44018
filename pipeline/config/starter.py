"""What `rowcall init` writes: a commented config to start from, and the JSON Schema for editors."""

import json

from pipeline.config.model import Config

_ENDPOINTS = {
    "segmind": """\
endpoint:
  provider: segmind
  model: mixtral-8x22b-instruct    # the last part of the URL on the model's page
  api_key_env: SEGMIND_API_KEY     # the name of an environment variable, never the key itself
""",
    "openai": """\
endpoint:
  provider: openai                 # also vLLM, llama.cpp, Ollama, LiteLLM and the like
  base_url: http://localhost:8000/v1
  model: my-model                  # the name the server knows it by
  # api_key_env: OPENAI_API_KEY    # the name of an environment variable, if the server wants a key
""",
}

_TEXT = """\
prompt:
  # system: You answer in one sentence.
  user: "Summarize in one sentence: {{ text }}"   # Jinja2 over the row's columns
  # messages: conversation         # or a column with whole conversations, instead of user
"""

_IMAGES = """\
prompt:
  system: You write alt text.
  user: "Describe this picture in one sentence."   # Jinja2 over the row's columns: {{ title }}
  images: photo                    # column with bytes, {bytes, path} structs, paths, URLs or data URIs

images:
  # root: photos                   # for a column of paths: nothing outside this folder (or s3://bucket/photos) is read
  # urls: inline                   # fetch http(s) URLs here, from public addresses, and send the bytes; pass: the endpoint does
  max_megabytes: 20
  # max_side: 768                  # pixels; what is larger is shrunk before it is sent (needs rowcall[images])
"""

_FOLDER = """
  # With "path: photos/", a folder or glob of pictures, each is a row: path and image. Leave prompt.images out then."""


def starter(provider: str, *, images: bool) -> str:
    """Give a config that loads as it is, with the common choices beside it as comments."""
    data = "photos.parquet" if images else "rows.csv"
    return f"""\
# A rowcall job. `rowcall check FILE` shows what it would send; `rowcall run FILE` runs it, or goes on with it.
# Paths are relative to this file.
input:
  path: {data}   # file, folder or glob, or a list: .parquet .tar .csv .tsv .jsonl (+ .gz){_FOLDER if images else ""}
  # Or in an object store: s3://my-bucket/in/, a key, a prefix or a pattern; gs:// too. Credentials are never written here.

{_IMAGES if images else _TEXT}
{_ENDPOINTS[provider]}
request:                           # merged into every request body as it is
  temperature: 0
  max_tokens: 256

limits:
  concurrency: 16                  # requests in flight
  # requests_per_minute: 60        # if you know the endpoint's limit

# pricing: {{prompt_per_million: 0.15, completion_per_million: 0.60}}   # fills the cost column

# stop:                            # end early; the same command goes on later
#   deadline: 8h                   # send nothing after it
#   max_failed: 100                # once more rows than this have failed
#   max_cost: 5                    # before more is spent, by pricing and request.max_tokens

output:
  path: out/{"captions" if images else "answers"}.parquet   # no suffix: a folder of parts. s3://my-bucket/out/ needs checkpoint
  # columns: [id]                  # input columns to keep; default all but image bytes

# checkpoint: {{dir: out.rowcall}}  # the record, on a local disk; beside the output unless this says otherwise
"""


def json_schema() -> str:
    """Give the JSON Schema of a config, as editors with YAML support take it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema(), "title": "rowcall job"}
    return json.dumps(schema, indent=2) + "\n"
