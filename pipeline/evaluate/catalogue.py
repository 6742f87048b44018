"""The metrics there are, by the names users give them. A metric's library is imported when it is asked for."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module

from pipeline.core.errors import ConfigError
from pipeline.evaluate.metric import Metric

# Name -> the module of this package that has it, and what makes it there.
METRICS: Mapping[str, tuple[str, str]] = {
    "exact": ("matches", "exact"),
    "f1": ("matches", "f1"),
    "contains": ("matches", "contains"),
    "choice": ("choices", "choice"),
    "number": ("numbers", "number"),
    "json": ("jsons", "json_value"),
    "rouge1": ("rouge", "rouge1"),
    "rouge2": ("rouge", "rouge2"),
    "rougeL": ("rouge", "rouge_l"),
    "bleu": ("translation", "bleu"),
    "chrf": ("translation", "chrf"),
    "ter": ("translation", "ter"),
    "cider": ("cider", "cider"),
    "wer": ("error_rates", "wer"),
    "cer": ("error_rates", "cer"),
}


# sacrebleu's that need no other package and no download.
TOKENIZERS = ("13a", "intl", "zh", "char", "none")


def metrics_named(names: Sequence[str], *, tokenize: str | None = None) -> list[Metric]:
    """Make metrics by their names, each once; `tokenize` names one of TOKENIZERS, for BLEU.

    Raises ConfigError for a name there is not, and for a tokenizer that nothing would use.
    """
    if tokenize is not None and "bleu" not in names:
        raise ConfigError("--tokenize: only bleu splits texts as one likes; name it with --metric, or leave this out")
    for name in names:
        if name not in METRICS:
            near = get_close_matches(name, METRICS, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"--metric {name}: there is no such metric; there are {', '.join(METRICS)}{meant}")
    return [_made(*METRICS[name], *([tokenize] if name == "bleu" and tokenize else [])) for name in dict.fromkeys(names)]


def _made(module: str, maker: str, *options: str) -> Metric:
    metric: Metric = getattr(import_module(f"pipeline.evaluate.{module}"), maker)(*options)
    return metric
