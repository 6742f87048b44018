"""The config as frozen pydantic models. Every field's description also feeds the JSON Schema that `init --schema` prints.

Absent on purpose: where values come from (load.py), what single values must look like (checks.py), and what they mean to
the other packages (jobs). What two fields must be together is checked at the later one of them, so that every mistake
is found in one reading.
"""

from pathlib import Path, PurePath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
)

from pipeline.config import checks
from pipeline.config.rows import Images, Input, PromptConfig
from pipeline.config.section import (
    FrozenMap,
    KeyFile,
    LocalPath,
    NotNegative,
    Positive,
    Section,
    Text,
    Texts,
    place_of,
    section_error,
)
from pipeline.core.locations import Location
from pipeline.core.tokens import most_completion

# Providers with an address of their own, and the variable that their own documentation keeps the key in.
_OWN_VARIABLES = {"segmind": "SEGMIND_API_KEY", "openai": "OPENAI_API_KEY"}


class Endpoint(Section):
    """Who is asked."""

    provider: Literal["segmind", "openai", "simulated"] = Field(
        description="segmind, openai or simulated; openai also covers vLLM, llama.cpp, Ollama, LiteLLM and the like"
    )
    model: Text | None = Field(
        None, description="segmind: the last part of the model page's URL; openai: the body's model", validate_default=True
    )
    base_url: Annotated[str, AfterValidator(checks.url)] | None = Field(
        None, description="such as http://localhost:8000/v1; null: the provider's own"
    )
    url: Annotated[str, AfterValidator(checks.url)] | None = Field(
        None, description="posted to exactly as written, instead of base_url", validate_default=True
    )
    api_key_env: Annotated[str, AfterValidator(checks.variable)] | None = Field(
        None, description="name of the environment variable that holds the key; a key itself is refused"
    )
    api_key_file: KeyFile | None = Field(None, description="file that holds the key, for its owner only; read again on a 401")
    headers: Annotated[FrozenMap, AfterValidator(checks.headers)] = Field(
        default_factory=dict, description="further headers; a value may be env:NAME"
    )
    timeout_s: Positive | None = Field(None, description="for one request; null: 120 for segmind, 600 else")
    proxy: Annotated[str, AfterValidator(checks.proxy)] | None = Field(
        None, description="http proxy to go through; the environment's are not used"
    )
    ca_file: LocalPath | None = Field(None, description="PEM file of further authorities to trust")
    allow_http: bool = Field(False, description="send a key over plain http to a host that is not loopback")

    @field_validator("url")
    @classmethod
    def _one_address(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url and info.data.get("base_url"):
            raise section_error("give url or base_url, not both")
        if (url or info.data.get("base_url")) and info.data.get("provider") == "simulated":
            raise section_error(
                "simulated starts its own server; for one that runs already use provider openai with its base_url"
            )
        # Segmind's model stands in the address, unless the whole address is given.
        if info.data.get("provider") == "segmind" and "model" in info.data and not (info.data["model"] or url):
            raise section_error("segmind needs a model: the last part of the model page's URL, such as mixtral-8x22b-instruct")
        return url

    @field_validator("model")
    @classmethod
    def _named(cls, model: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("provider") == "openai" and not model:
            raise section_error("openai needs a model: the name the server knows it by")
        return model

    @field_validator("api_key_file")
    @classmethod
    def _one_key(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file and info.data.get("api_key_env"):
            raise section_error("give api_key_env or api_key_file, not both")
        return file

    @property
    def timeout(self) -> float:
        """Seconds for one request."""
        return self.timeout_s or (120.0 if self.provider == "segmind" else 600.0)

    @property
    def has_own_address(self) -> bool:
        """Whether the provider's public address is asked, and not one that the config gives."""
        return self.base_url is None and self.url is None

    @property
    def key_variable(self) -> str | None:
        """The variable that is asked for the key: the named one, or else the provider's usual one.

        That one is for the provider alone: a server of one's own that speaks OpenAI's language gets no key unasked.
        """
        if self.api_key_env is not None or self.api_key_file is not None:
            return self.api_key_env
        return _OWN_VARIABLES.get(self.provider) if self.has_own_address or self.provider == "segmind" else None


class Limits(Section):
    """How much at once."""

    concurrency: int = Field(64, ge=1, le=100_000, description="requests in flight at most")
    adaptive: bool = Field(
        True, description="find out by being throttled how much at once and, where no limit is set here, how fast"
    )
    megabytes_in_flight: Positive = Field(
        384, description="of rows and request bodies held at once; with large pictures fewer requests are in flight"
    )
    requests_per_minute: Positive | None = Field(None, description="started per minute at most; null: learned from the answers")
    tokens_per_minute: Positive | None = Field(
        None, description="estimated tokens started per minute at most; null: learned where answers say what is left"
    )


class Retry(Section):
    """When a send failed."""

    max_attempts: Literal["auto"] | Annotated[int, Field(ge=1, le=1000)] = Field(
        "auto", description="failed sends of a row before it is given up, 429s apart; auto: 3 to 20, by the fault rate"
    )
    base_delay_s: Positive = Field(1, description="first backoff, doubled each time, drawn at random below")
    max_delay_s: Positive = Field(60, description="longest backoff", validate_default=True)
    max_retry_after_s: Positive = Field(900, description="longest wait believed when the endpoint asks for one")
    max_outage_s: Positive = Field(3600, description="longest wait for an endpoint that answers nobody; then the run stops")

    @field_validator("max_delay_s")
    @classmethod
    def _ordered(cls, longest: float, info: ValidationInfo) -> float:
        first = info.data.get("base_delay_s", 0.0)
        if first > longest:
            raise section_error(f"base_delay_s ({first:g}) must not exceed max_delay_s ({longest:g})")
        return longest


class StopConfig(Section):
    """When to stop early."""

    deadline: Annotated[str | None, BeforeValidator(checks.deadline)] = Field(
        None, description="send nothing after it: a duration such as 2h or 90m, or a time of day such as 06:00"
    )
    grace_s: NotNegative | None = Field(
        None, description="how long a stop waits for what is in flight; null: the endpoint's timeout"
    )
    systematic_failures: Annotated[int, Field(ge=1)] | None = Field(
        20, description="stop if the first rows, so many, all fail alike; null: never"
    )
    max_failed: Annotated[int, Field(ge=0)] | None = Field(None, description="stop once more rows than this have failed")
    max_cost: Positive | None = Field(None, description="never spend more, by pricing; needs pricing and request.max_tokens")


class PricingConfig(Section):
    """What the endpoint charges, in any currency. Fills the cost column."""

    prompt_per_million: NotNegative | None = Field(None, description="for a million prompt tokens")
    completion_per_million: NotNegative | None = Field(None, description="for a million completion tokens")
    per_request: NotNegative | None = Field(None, description="for each answered request")


class Output(Section):
    """What is written."""

    path: Annotated[str, Field(min_length=1), AfterValidator(checks.output_path)] = Field(
        description="local or in a store: .parquet for one file; no suffix or a trailing / for a folder of them"
    )
    columns: Texts | None = Field(None, description="input columns to keep; null: all but image bytes and what lies in a tar")
    prefix: str = Field("", description="put before each result column")

    @field_validator("columns")
    @classmethod
    def _once(cls, columns: tuple[str, ...] | None) -> tuple[str, ...] | None:
        again = sorted({name for name in columns or () if (columns or ()).count(name) > 1})
        if again:
            raise ValueError(f"given twice: {', '.join(again)}")
        return columns

    @property
    def place(self) -> Path | Location:
        return place_of(self.path)

    @property
    def is_directory(self) -> bool:
        return self.path.endswith("/") or PurePath(self.path).suffix != ".parquet"


class Checkpoint(Section):
    """Where and how the job's record is kept."""

    dir: LocalPath | None = Field(
        None, description="the record's folder, on a local disk; null: OUTPUT.rowcall beside the output, which then is local too"
    )
    part_rows: int = Field(10_000, ge=1, le=10_000_000, description="rows sealed together")
    max_open_megabytes: Positive = Field(4096, description="journal and set-aside columns at most; past it no new part is begun")
    min_free_megabytes: NotNegative | None = Field(
        None, description="with less free on the record's or the output's disk nothing is sent; null: 512, less on a small disk"
    )
    allow_network_disk: bool = Field(False, description="keep the record on a network disk all the same")


class EngineConfig(Section):
    """Where the work is done. What is asked, recorded and limited is the same everywhere."""

    kind: Literal["local", "ray"] = Field(
        "local", description="local: this process; ray: workers of a Ray cluster; needs rowcall[ray]"
    )
    address: Text = Field(
        "auto", description="of the cluster; auto: the one this machine belongs to, or else one of its own, started now"
    )
    workers: int = Field(4, ge=1, le=1000, description="processes that ask, with kind: ray; limits are those of all together")
    cpus_per_worker: NotNegative = Field(1, description="what each of them takes of the cluster, with kind: ray")


class Config(Section):
    """A job: what is read, asked, of whom, how fast, and where the answers go."""

    input: Input = Field(description="what is read")
    prompt: PromptConfig = Field(description="what is asked of each row")
    images: Images = Field(Images(), description="how image columns are read")
    endpoint: Endpoint = Field(description="who is asked")
    request: Annotated[FrozenMap, AfterValidator(checks.request)] = Field(
        default_factory=dict, description="merged into every request body as it is"
    )
    limits: Limits = Field(Limits(), description="how much at once")
    retry: Retry = Field(Retry(), description="when a send failed")
    stop: StopConfig = Field(StopConfig(), description="when to stop early")
    pricing: PricingConfig = Field(PricingConfig(), description="what the endpoint charges", validate_default=True)
    output: Output = Field(description="what is written")
    engine: EngineConfig = Field(EngineConfig(), description="where the work is done")
    checkpoint: Checkpoint = Field(Checkpoint(), description="where and how the job's record is kept", validate_default=True)

    @field_validator("pricing")
    @classmethod
    def _enough_for_max_cost(cls, pricing: PricingConfig, info: ValidationInfo) -> PricingConfig:
        stop, request = info.data.get("stop"), info.data.get("request")
        if stop is None or stop.max_cost is None:
            return pricing
        if not pricing.model_fields_set:
            raise section_error("stop.max_cost needs prices, such as prompt_per_million and completion_per_million")
        if request is not None and most_completion(request) is None:
            raise section_error("stop.max_cost needs request.max_tokens: without it nobody knows what a reply may cost")
        return pricing

    @field_validator("output")
    @classmethod
    def _is_not_input(cls, output: Output, info: ValidationInfo) -> Output:
        source = info.data.get("input")
        path = checks.reads_itself(source.path, output.path) if source else None
        if path is not None:
            raise section_error(
                f"{output.path} lies where input.path ({path}) would take it for new rows on the next run;"
                " write it elsewhere, or name the input more closely"
            )
        inside = [each for each in source.path if PurePath(each).is_relative_to(output.path)] if source else []
        if inside and output.is_directory:
            raise section_error(f"{output.path} holds the input ({inside[0]}); write to a folder of its own")
        return output

    @field_validator("checkpoint")
    @classmethod
    def _is_not_read(cls, checkpoint: Checkpoint, info: ValidationInfo) -> Checkpoint:
        source, output, folder = info.data.get("input"), info.data.get("output"), checkpoint.dir
        if output is not None and isinstance(output.place, Location) and folder is None:
            raise section_error(
                f"dir: needed, for {output.path} lies in a store and the record has to lie on a local disk;"
                " give it a folder of its own, such as dir: captions.rowcall, or --set checkpoint.dir=captions.rowcall"
            )
        path = checks.reads_record(source.path, str(folder)) if source and folder else None
        if path is not None:
            raise section_error(
                f"dir: {folder} lies where input.path ({path}) would take what it holds for new rows on the next run;"
                " put it elsewhere, or give it a name that ends in .rowcall"
            )
        return checkpoint
