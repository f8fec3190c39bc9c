"""Prepares a data set: parquet rows and a manifest.  python recipes/prepare.py dataset=retina prompt=knowledge"""

import _environment  # noqa: F401
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("prepare")
def main(config: DictConfig) -> None:
    from rich.progress import track

    from vrft_aug.data.policy_files import adopt
    from vrft_aug.data.preparation.manifest import summary
    from vrft_aug.data.preparation.prepare import prepare
    from vrft_aug.data.settings import Policy

    config = adopt(config, HydraConfig.get().overrides.task)

    def find_policy() -> str:
        from vrft_aug.engine.training.policy import resolve  # takes seconds and may build the policy: after the checks

        return resolve(Policy.of(config.policy))

    manifest = prepare(config, find_policy, lambda items, text, total: track(items, text.ljust(12), total))
    print(summary(manifest, config.out))


if __name__ == "__main__":
    main()
