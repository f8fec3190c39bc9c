"""Trains a policy by GRPO on prepared rows: python recipes/grpo.py dataset=retina prompt=knowledge objective=mfrs

This is the paper's V-RFT.
"""

import _environment  # noqa: F401
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("grpo")
def main(config: DictConfig) -> None:
    from vrft_aug.data.policy_files import adopt
    from vrft_aug.engine.run.advice import before_training
    from vrft_aug.engine.run.run_folder import Run
    from vrft_aug.engine.training import grpo

    config = adopt(config, HydraConfig.get().overrides.task)
    with Run(config, "grpo") as run:
        for line in before_training(config):
            run.say(line)
        policy = grpo.train(config, run)
        run.say(f"policy in Hugging Face format: {policy}; metrics: {run.folder / 'metrics.jsonl'}")


if __name__ == "__main__":
    main()
