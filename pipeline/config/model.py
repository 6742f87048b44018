"""The config as frozen pydantic models. Every field's description also feeds the JSON Schema that `init --schema` prints.

Absent on purpose: where values come from (load.py) and what they mean to the other packages (jobs).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

_SECRET_NAME = re.compile(r"authorization|api[-_]?key|token|secret|password|cookie|credential", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CSV_TYPES = ("string", "int64", "float64", "bool", "date", "timestamp")


def _tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _frozen(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(value))


Strings = Annotated[tuple[str, ...], BeforeValidator(_tuple)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
FrozenMap = Annotated[Mapping[str, Any], AfterValidator(_frozen), PlainSerializer(dict, return_type=dict)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, ser_json_inf_nan="null", hide_input_in_errors=True)


class Csv(Section):
    """How CSV and TSV files are read. Cells stay the strings they are unless `types` says otherwise."""

    delimiter: str | None = Field(None, min_length=1, max_length=1, description="null: a comma for .csv, a tab for .tsv")
    encoding: str = Field("utf-8", description="any Python codec; a byte that does not fit is an error, never replaced")
    types: FrozenMap = Field(default_factory=dict, description="column: string, int64, float64, bool, date or timestamp")

    @model_validator(mode="after")
    def _known(self) -> "Csv":
        import codecs

        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise ValueError(
                f"encoding: found {self.encoding!r}, allowed: a codec Python knows, such as utf-8 or latin-1"
            ) from None
        for column, type_ in self.types.items():
            if type_ not in _CSV_TYPES:
                raise ValueError(f"types.{column}: found {type_!r}, allowed: {', '.join(_CSV_TYPES)}")
        return self


class Input(Section):
    """What is read."""

    path: Strings = Field(
        min_length=1, description="file, folder or glob, or a list of them: .parquet .csv .tsv .jsonl, also .gz"
    )
    csv: Csv = Csv()


class PromptConfig(Section):
    """What is asked of each row. system and user are Jinja2 templates over the row's columns."""

    system: str | None = Field(None, description="template of the system message")
    user: str | None = Field(None, description="template of the user message")
    images: Strings = Field(
        (), description="column or columns with images: bytes, {bytes, path}, paths, URLs, data URIs, or lists"
    )
    messages: str | None = Field(None, description="column with a whole conversation, instead of user")

    @model_validator(mode="after")
    def _one_of(self) -> "PromptConfig":
        if (self.user is None) == (self.messages is None):
            raise ValueError("give either user (a template) or messages (a column)")
        return self


class Images(Section):
    """How image columns are read."""

    root: Path | None = Field(None, description="folder of image paths; nothing outside it is read")
    urls: Literal["pass"] = Field("pass", description="pass: the endpoint fetches http(s) URLs itself")
    max_megabytes: Positive = Field(20, description="a larger image makes its row a bad_row")


class Endpoint(Section):
    """Who is asked."""

    provider: Literal["segmind", "openai", "simulated"]
    model: str | None = Field(None, min_length=1, description="segmind: the last part of the URL; openai: the body's model")
    base_url: str | None = Field(None, description="such as http://localhost:8000/v1")
    url: str | None = Field(None, description="posted to exactly as written, instead of base_url")
    api_key_env: str | None = Field(None, description="name of the environment variable that holds the key")
    api_key_file: Path | None = Field(None, description="file that holds the key, readable by its owner only")
    headers: FrozenMap = Field(default_factory=dict, description="further headers; a value may be env:NAME")
    timeout_s: Positive | None = Field(None, description="for one request; null: 120 for segmind, 600 else")
    proxy: str | None = Field(None, description="http proxy to go through; the environment's are not used")
    ca_file: Path | None = Field(None, description="PEM file of further authorities to trust")
    allow_http: bool = Field(False, description="send a key over plain http to a host that is not loopback")

    @model_validator(mode="after")
    def _consistent(self) -> "Endpoint":
        if self.url and self.base_url:
            raise ValueError("give url or base_url, not both")
        if self.provider == "segmind" and not (self.model or self.url):
            raise ValueError("segmind needs a model: the last part of the model page's URL, such as mixtral-8x22b-instruct")
        if self.provider == "openai" and not self.model:
            raise ValueError("openai needs a model: the name the server knows it by")
        if self.provider == "simulated" and (self.url or self.base_url):
            raise ValueError("simulated starts its own server; for one that runs already use provider openai with its base_url")
        if self.api_key_env and self.api_key_file:
            raise ValueError("give api_key_env or api_key_file, not both")
        if self.api_key_env is not None and not _VARIABLE.fullmatch(self.api_key_env):
            raise ValueError(
                "api_key_env takes the name of an environment variable, such as SEGMIND_API_KEY, never the key itself"
            )
        for name, value in self.headers.items():
            _check_header(name, value)
        return self

    @property
    def timeout(self) -> float:
        """Seconds for one request."""
        return self.timeout_s or (120.0 if self.provider == "segmind" else 600.0)

    @property
    def key_variable(self) -> str | None:
        """The variable that is asked for the key: the named one, or Segmind's usual one."""
        if self.api_key_env is None and self.api_key_file is None and self.provider == "segmind":
            return "SEGMIND_API_KEY"
        return self.api_key_env


def _check_header(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(f"headers.{name}: found {value!r}, allowed: text (quote it), or env:NAME")
    if name.lower() in ("authorization", "x-api-key", "proxy-authorization"):
        raise ValueError(f"headers.{name} is refused: the key belongs in api_key_env or api_key_file")
    if name.lower() in ("content-length", "transfer-encoding", "host", "content-type", "accept-encoding"):
        raise ValueError(f"headers.{name} is refused: it is set by the request itself")
    if _SECRET_NAME.search(name) and not value.startswith("env:"):
        raise ValueError(f"headers.{name} looks like a secret: put it in an environment variable and write env:NAME")


class Limits(Section):
    """How much at once."""

    concurrency: int = Field(64, ge=1, le=100_000, description="requests in flight at most")
    requests_per_minute: Positive | None = Field(None, description="started per minute at most")
    tokens_per_minute: Positive | None = Field(None, description="estimated tokens started per minute at most")


class Retry(Section):
    """When a send failed."""

    max_attempts: int = Field(8, ge=1, le=1000, description="sends of a row that failed for its own reasons; 429s do not count")
    base_delay_s: Positive = Field(1, description="first backoff, doubled each time, drawn at random below")
    max_delay_s: Positive = Field(60, description="longest backoff")
    max_retry_after_s: Positive = Field(900, description="longest wait believed when the endpoint asks for one")

    @model_validator(mode="after")
    def _ordered(self) -> "Retry":
        if self.base_delay_s > self.max_delay_s:
            raise ValueError(f"base_delay_s ({self.base_delay_s:g}) must not exceed max_delay_s ({self.max_delay_s:g})")
        return self


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)")
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


def _deadline(value: object) -> object:
    # YAML 1.1 reads an unquoted 06:30 as the number 390, in base 60; which of the two was meant is still certain.
    if isinstance(value, int) and not isinstance(value, bool) and 60 <= value < 24 * 60:
        value = f"{value // 60:02}:{value % 60:02}"
    if value is not None and not (
        isinstance(value, str) and (_DURATION.fullmatch(value.strip()) or _TIME.fullmatch(value.strip()))
    ):
        raise ValueError(f"found {value!r}, allowed: a duration such as 2h or 90m, or a time of day such as '06:00'")
    return value


class StopConfig(Section):
    """When to stop early."""

    deadline: Annotated[str | None, BeforeValidator(_deadline)] = Field(
        None, description="send nothing after it: a duration such as 2h, or a time of day such as '06:00'"
    )
    grace_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None, description="how long a stop waits for what is in flight; null: the endpoint's timeout"
    )


class PricingConfig(Section):
    """What the endpoint charges, in any currency."""

    prompt_per_million: Price | None = None
    completion_per_million: Price | None = None
    per_request: Price | None = None


class Output(Section):
    """What is written."""

    path: str = Field(min_length=1, description=".parquet: one file; no suffix or a trailing /: a folder of them")
    columns: Strings | None = Field(None, description="input columns to keep; null: all but image bytes")
    prefix: str = Field("", description="put before each result column")

    @model_validator(mode="after")
    def _suffix(self) -> "Output":
        if not self.path.endswith("/") and self.place.suffix not in ("", ".parquet"):
            raise ValueError(
                f"path: found the suffix {self.place.suffix!r}, allowed: .parquet for one file, or no suffix for a folder;"
                " for CSV or JSON Lines run the job and then `rowcall export`"
            )
        return self

    @property
    def place(self) -> Path:
        return Path(self.path)

    @property
    def is_directory(self) -> bool:
        return self.path.endswith("/") or self.place.suffix != ".parquet"


class Checkpoint(Section):
    """Where and how the job's record is kept."""

    dir: Path | None = Field(None, description="the record's folder; null: OUTPUT.rowcall beside the output")
    part_rows: int = Field(10_000, ge=1, le=10_000_000, description="rows sealed together")
    max_open_megabytes: Positive = Field(4096, description="journal and set-aside columns at most; past it no new part is begun")
    allow_network_disk: bool = Field(False, description="keep the record on a network disk all the same")


class Config(Section):
    """A job: what is read, asked, of whom, how fast, and where the answers go."""

    input: Input
    prompt: PromptConfig
    images: Images = Images()
    endpoint: Endpoint
    request: FrozenMap = Field(default_factory=dict, description="merged into every request body as it is")
    limits: Limits = Limits()
    retry: Retry = Retry()
    stop: StopConfig = StopConfig()
    pricing: PricingConfig = PricingConfig()
    output: Output
    checkpoint: Checkpoint = Checkpoint()

    @model_validator(mode="after")
    def _request(self) -> "Config":
        for reserved in ("messages", "stream"):
            if reserved in self.request and self.request[reserved] is not False:
                raise ValueError(f"request.{reserved} is refused: rowcall sets it")
        return self
