"""Fills in the checklists CLAIM and TRIPOD-LLM.  python recipes/reporting_checklist.py run=<folder of evaluate.py>"""

from pathlib import Path

import _environment  # noqa: F401
from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("reporting_checklist")
def main(config: DictConfig) -> None:
    from vrft_aug.evaluation.report.checklist.checklist_sheet import write_sheet

    print(f"wrote {write_sheet(Path(str(config.run)).expanduser())}")


if __name__ == "__main__":
    main()
