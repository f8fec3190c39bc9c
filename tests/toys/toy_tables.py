"""Fills small tables of the paper from the runs below a folder, for the tests of the report."""

from pathlib import Path

from omegaconf import OmegaConf

from vrft_aug.evaluation.metrics.comparison import compare
from vrft_aug.evaluation.report.paper.paper_claims import Outcome, judge
from vrft_aug.evaluation.report.paper.paper_layout import layout
from vrft_aug.evaluation.report.paper.paper_rows import PaperTable
from vrft_aug.evaluation.report.paper.paper_table import fill
from vrft_aug.evaluation.runs import find
from vrft_aug.experiments.cells import Table

TRUTH = ["0"] * 174 + ["1"] * 46 + ["2"] * 92 + ["3"] * 68 + ["4"] * 20  # RetinaMNIST's test split
HALF_RIGHT = [label if position % 2 else "3" for position, label in enumerate(TRUTH)]

ROWS = [{"experiment": "zero_shot", "shots": 256}, {"experiment": "v_rft", "shots": None},
        {"experiment": "v_rft_pa_p", "shots": None}]  # fmt: skip
HELPS = {"text": "PA_P helps", "better": "v_rft_pa_p", "worse": "v_rft"}


def table(name: str = "table3", **changes) -> Table:
    """A table like Table 3, but for the changes."""
    rows = [{"experiment": "zero_shot"}, {"experiment": "v_rft_pa_p"}, {"experiment": "v_rft_pa_p_mfrs"}]
    spec = {"title": name, "protocol": "paper", "policy": "tiny", "larger_policy": None, "shots": [256]}
    return Table.of(OmegaConf.create(spec | {"datasets": ["retina", "covid19"], "rows": rows} | changes))


def filled(runs: Path, name: str = "table3", objectives: dict | None = None, untrained=(), **changes) -> PaperTable:
    return fill(table(name, **changes), name, compare(find([runs])[0]), objectives or {}, untrained)


def cells(one: PaperTable) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in layout(one).rows}


def judged(root: Path, *claims: dict, name: str = "mine", untrained=(), **changes) -> list[Outcome]:
    spec = {"rows": ROWS, "datasets": ["retina"]} | changes | {"claims": list(claims)}
    return judge(filled(root, name, untrained=untrained, **spec), table(name, **spec))
