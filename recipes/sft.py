"""Trains a policy by supervised fine-tuning on prepared rows: python recipes/sft.py dataset=phantom out=runs/warm_start

This is the paper's V-SFT, and the warm start before GRPO.
"""

from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("sft")
def main(config: DictConfig) -> None:
    from vrft_aug.engine.run.run_folder import Run
    from vrft_aug.engine.training import sft

    with Run(config, "sft") as run:
        policy = sft.train(config, run)
        run.say(f"policy in Hugging Face format: {policy}; metrics: {run.folder / 'metrics.jsonl'}")


if __name__ == "__main__":
    main()
