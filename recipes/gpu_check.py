"""Tries a hardware profile by short trainings, and writes what they show.

python recipes/gpu_check.py hardware=gpu_2x80g
"""

import _environment  # noqa: F401
from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("gpu_check")
def main(config: DictConfig) -> None:
    from vrft_aug.experiments.gpu_check.check import check

    check(config)


if __name__ == "__main__":
    main()
