"""Runs -> a table in the terminal, report.md, table.csv and curve.png.

python recipes/report.py runs=[runs/before,runs/grpo,runs/after] out=runs/report
"""

from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("report")
def main(config: DictConfig) -> None:
    from rich.console import Console

    from vrft_aug.evaluation.report import write_report

    console = Console()
    runs = [config.runs] if isinstance(config.runs, str) else list(config.runs)
    for file in write_report(runs, config.out, config.baseline, console):
        console.print(f"wrote {file}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
