"""Asks whether reinforcement will help a policy, before a training.  python recipes/probe.py dataset=retina

Rows that do not exist yet are prepared first, by prepare.py.
"""

import subprocess
import sys
from pathlib import Path

import _environment  # noqa: F401
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("probe")
def main(config: DictConfig) -> None:
    from vrft_aug.data.policy_files import adopt
    from vrft_aug.engine.run.run_folder import Run
    from vrft_aug.evaluation.checks import check_answers
    from vrft_aug.evaluation.probe import check_probe, probe, to_prepare

    overrides = HydraConfig.get().overrides.task
    config = adopt(config, overrides)
    check_probe(config)
    if (missing := to_prepare(config, overrides)) is not None:
        prepared = subprocess.run([sys.executable, str(Path(__file__).with_name("prepare.py")), *missing], check=False)
        if prepared.returncode:
            sys.exit(prepared.returncode)  # it has said why
    check_answers(config)
    with Run(config, "probe") as run:
        probe(config, run)


if __name__ == "__main__":
    main()
