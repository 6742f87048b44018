"""The config's sections about rows: what is read, and what is asked of each."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from pipeline.config import checks
from pipeline.config.section import AnyPathTexts, AnyPlace, FrozenMap, Positive, Section, Text, Texts, section_error


class Csv(Section):
    """How CSV and TSV files are read. Cells stay the strings they are unless `types` says otherwise."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        None, description="one character; null: a comma for .csv, a tab for .tsv"
    )
    encoding: Annotated[str, AfterValidator(checks.encoding)] = Field(
        "utf-8", description="any text encoding Python knows; a byte that does not fit is an error, never replaced"
    )
    types: Annotated[FrozenMap, AfterValidator(checks.csv_types)] = Field(
        default_factory=dict, description=f"column: {', '.join(checks.CSV_TYPES)}"
    )


class Input(Section):
    """What is read."""

    path: AnyPathTexts = Field(
        description="file, folder or glob, local or in a store (s3://, gs://), or a list: pictures, or .parquet .tar .csv .tsv"
        " .jsonl, the last three also with .gz"
    )
    csv: Csv = Field(Csv(), description="how CSV and TSV files are read")


class PromptConfig(Section):
    """What is asked of each row. system and user are Jinja2 templates over the row's columns."""

    system: str | None = Field(None, description="template of the system message")
    user: str | None = Field(None, description="template of the user message")
    images: Texts = Field((), description="column or columns with images: bytes, {bytes, path}, paths, URLs, data URIs, or lists")
    messages: Text | None = Field(None, description="column with a whole conversation, instead of user", validate_default=True)

    @field_validator("messages")
    @classmethod
    def _one_of(cls, messages: str | None, info: ValidationInfo) -> str | None:
        user = info.data.get("user", "")  # absent: it has a mistake of its own
        if "user" in info.data and (user is None) == (messages is None):
            raise section_error("give either user (a template) or messages (a column)")
        if user == "" and "user" in info.data and info.data.get("images") == ():
            raise section_error("user is empty and there are no images: nothing would be asked")
        return messages


class Images(Section):
    """How image columns are read."""

    root: AnyPlace | None = Field(None, description="folder of image paths, local or in a store; nothing outside it is read")
    urls: Literal["pass", "inline"] = Field(
        "pass",
        description="pass: the endpoint fetches http(s) URLs itself; inline: rowcall does, from public addresses, and embeds",
    )
    per_host: int = Field(8, ge=1, le=1000, description="pictures fetched at once from one host, with urls: inline")
    max_megabytes: Positive = Field(20, description="a larger image makes its row a bad_row")
    max_side: Annotated[int, Field(ge=16, le=65_500)] | None = Field(
        None, description="shrink to this many pixels along the longer side; null: sent as they are; needs rowcall[images]"
    )
    format: Literal["jpeg"] | None = Field(None, description="what they are sent as; null: as they are; needs rowcall[images]")
    quality: Annotated[int, Field(ge=1, le=95)] | None = Field(
        None, description="of the JPEG and WebP that shrinking makes, 1 to 95; null: 85; needs max_side or format"
    )
    max_megapixels: Annotated[Positive, Field(le=1000)] = Field(
        40, description="a picture of more is not decoded to shrink it: its row is a bad_row"
    )
    detail: Literal["low", "high", "auto"] | None = Field(
        None, description="how closely the model looks, for providers that let a request say it: low, high, auto"
    )

    @field_validator("quality")
    @classmethod
    def _of_something(cls, quality: int | None, info: ValidationInfo) -> int | None:
        if quality is not None and info.data.get("max_side", 0) is None and info.data.get("format", "") is None:
            raise section_error("quality is of pictures that are made smaller: give max_side or format, too")
        return quality

    @property
    def are_prepared(self) -> bool:
        """Whether pictures may be encoded anew before they are sent."""
        return self.max_side is not None or self.format is not None
