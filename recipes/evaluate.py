"""Evaluates a policy on a whole split, with every metric.  python recipes/evaluate.py policy.path=runs/grpo/policy"""

from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("evaluate")
def main(config: DictConfig) -> None:
    from vrft_aug.engine.run.run_folder import Run
    from vrft_aug.evaluation.evaluate import evaluate

    with Run(config, "evaluate") as run:
        evaluate(config, run)


if __name__ == "__main__":
    main()
