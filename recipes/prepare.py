"""Prepares a data set: parquet rows and a manifest.  python recipes/prepare.py dataset=retina prompt=knowledge"""

from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("prepare")
def main(config: DictConfig) -> None:
    from rich.progress import track

    from vrft_aug.data.preparation.manifest import summary
    from vrft_aug.data.preparation.prepare import prepare
    from vrft_aug.data.settings import Policy
    from vrft_aug.engine.training.policy import resolve

    policy = Policy.of(config.policy)
    policy_path = resolve(policy) if policy.max_prompt_length is not None else None
    manifest = prepare(config, policy_path, lambda items, text, total: track(items, text.ljust(12), total))
    print(summary(manifest, config.out))


if __name__ == "__main__":
    main()
