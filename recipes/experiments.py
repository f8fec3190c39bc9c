"""Runs a table or figure of the paper, cell by cell.

python recipes/experiments.py table=table3 policy=tiny plan=true
"""

import _environment  # noqa: F401
from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("experiments")
def main(config: DictConfig) -> None:
    from vrft_aug.experiments.run_table import run_table

    run_table(config)


if __name__ == "__main__":
    main()
