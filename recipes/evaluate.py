"""Evaluates a policy on a whole split, with every metric.  python recipes/evaluate.py policy.path=runs/grpo/policy"""

import _environment  # noqa: F401
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("evaluate")
def main(config: DictConfig) -> None:
    from vrft_aug.data.policy_files import adopt
    from vrft_aug.engine.run.run_folder import Run
    from vrft_aug.evaluation.checks import check

    config = adopt(config, HydraConfig.get().overrides.task)
    check(config)

    from vrft_aug.evaluation.evaluate import evaluate

    with Run(config, "evaluate") as run:
        evaluate(config, run)


if __name__ == "__main__":
    main()
