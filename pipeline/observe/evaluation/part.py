"""An evaluation or a comparison as its part of a page, ready to be printed and escaped."""

from markupsafe import Markup

from pipeline.core.scores import Comparison, Evaluation
from pipeline.observe.evaluation.compared import compared_figures
from pipeline.observe.evaluation.rows import MOST_ROWS, rows_in_pieces
from pipeline.observe.evaluation.scored import scored_figures
from pipeline.observe.evaluation.shapes import Part
from pipeline.observe.evaluation.words import plain, rows
from pipeline.observe.report.shell import static
from pipeline.observe.wording import count


def part_of(result: Evaluation | Comparison) -> Part:
    compares = isinstance(result, Comparison)
    name = f"{plain(result.a.name)} and {plain(result.b.name)}" if isinstance(result, Comparison) else plain(result.table.name)
    return Part(
        title=name,
        version=result.version,
        made=result.made,
        compares=compares,
        figures=compared_figures(result) if isinstance(result, Comparison) else scored_figures(result),
        metrics=result.metrics,
        gates=result.gates,
        chosen=_chosen(result),
        script=Markup(static("evaluation.js")),  # noqa: S704 (a file of this package)
        rows=[Markup(each) for each in rows_in_pieces(result)],  # noqa: S704 (json_in_html made them)
    )


def _chosen(result: Evaluation | Comparison) -> str:
    """Say which rows the page holds."""
    if isinstance(result, Comparison):
        shown = min(len(result.flips), MOST_ROWS)
        return f"The {rows(shown)} on which a and b differ most, where b loses before where it wins." if shown else ""
    shown, of = min(len(result.rows), MOST_ROWS), result.groups[0].rows if result.groups else 0
    return "Every row is here, the worst first." if shown >= of else f"{count(shown)} of {rows(of)} are here, the worst first."
