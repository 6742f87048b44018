import subprocess
import sys

import pytest

from pipeline.evaluate.catalogue import METRICS, metrics_named


@pytest.mark.parametrize("name", [name for name in METRICS if name not in ("choice", "number", "json")])
def test_a_metric_of_texts_is_named_as_in_the_catalogue_and_keeps_its_promises(name: str) -> None:
    (metric,) = metrics_named([name])
    if metric.learns:
        metric.learn([["a cat sits"], ["a dog"]])
    rows = metric.score(["", "a cat sits on the mat"], [["a cat sits on the mat"], ["a cat sits on the mat"]]).rows
    about = metric.about
    assert about.name == name
    worst, best = (0.0, about.scale) if about.higher else (about.scale, 0.0)
    assert rows[0] == worst
    if not metric.learns:
        assert rows[1] == pytest.approx(best)


def test_the_catalogue_imports_no_library() -> None:
    code = (
        "import sys, pipeline.evaluate.catalogue;"
        "assert not {'sacrebleu', 'jiwer', 'rouge_score', 'rapidfuzz'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
