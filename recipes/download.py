"""Downloads a data set if its source allows it.  python recipes/download.py dataset=blood data_root=<folder>"""

import _environment  # noqa: F401
from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("prepare")
def main(config: DictConfig) -> None:
    from vrft_aug.data.datasets.download import download
    from vrft_aug.data.settings import Dataset

    print(download(Dataset.of(config.dataset), config.data_root))


if __name__ == "__main__":
    main()
