"""Reports finished runs: report.html, report.md, CSV and curves; on request also a table of the paper with its numbers.

python recipes/report.py runs=[runs/before,runs/grpo,runs/after] out=runs/report
python recipes/report.py runs=[runs/table3] table=table3 out=runs/table3/report
"""

import _environment  # noqa: F401
from hydra import compose
from omegaconf import DictConfig

from vrft_aug.cli import recipe
from vrft_aug.errors import InputError


@recipe("report")
def main(config: DictConfig) -> None:
    from rich.console import Console

    from vrft_aug.evaluation.report.content import Asked
    from vrft_aug.evaluation.report.report import write_report
    from vrft_aug.experiments.cells import Table, cells

    if not config.runs:
        raise InputError("runs is not set: set runs=[<folder>], the folders that the recipes wrote (their out=)")
    console = Console()
    runs = [config.runs] if isinstance(config.runs, str) else list(config.runs)
    asked = None
    if config.get("table"):
        table = Table.of(config.table)
        experiments = dict.fromkeys(row.experiment for row in table.rows)
        objectives = {name: own_objective(name) for name in experiments}
        pairs = {(cell.experiment, cell.policy) for cell in cells(table)} if table.several else set()
        asked = Asked(config.table_name, table, objectives, frozenset(pair for pair in pairs if untrained(*pair)))
    for file in write_report(runs, config.out, config.baseline, console, asked, config.gallery):
        console.print(f"wrote {file}", markup=False, highlight=False, soft_wrap=True)


def own_objective(experiment: str) -> str | None:
    """The objective of an experiment's training and test; None if it does not distinguish the experiment's runs."""
    config = compose("evaluate", [f"experiment={experiment}"], return_hydra_config=True)
    distinguishes = config.method.train and not config.method.diagnose
    return config.hydra.runtime.choices.objective if distinguishes else None


def untrained(experiment: str, policy: str) -> bool:
    """Whether nothing is trained: the experiment is zero-shot, and the policy needs no warm start."""
    config = compose("evaluate", [f"experiment={experiment}", f"policy={policy}"])
    return not (config.method.train or config.method.stages or config.policy.warm_start)


if __name__ == "__main__":
    main()
