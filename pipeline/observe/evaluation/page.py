"""An evaluation or a comparison as one HTML file that needs nothing else, made like the report of a job."""

from typing import TextIO

from markupsafe import Markup

from pipeline.core.scores import Comparison, Evaluation
from pipeline.observe.evaluation.part import part_of
from pipeline.observe.report.shell import environment, policy, static


def write_evaluation_page(result: Evaluation | Comparison, file: TextIO) -> None:
    """Write the page piece by piece; it is UTF-8, and says so."""
    part = part_of(result)
    style = static("page.css") + static("evaluation.css")
    stream = environment().get_template("scores.html")
    for piece in stream.generate(scores=part, policy=policy(style, [part.script]), style=Markup(style)):  # noqa: S704
        file.write(piece)
