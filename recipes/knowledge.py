"""Drafts knowledge entries, lists the drafts, or notes who reviewed one.  python recipes/knowledge.py review=true"""

from pathlib import Path
from typing import TYPE_CHECKING

import _environment  # noqa: F401
from omegaconf import DictConfig

from vrft_aug.cli import recipe

if TYPE_CHECKING:
    from vrft_aug.data.settings import Dataset


@recipe("knowledge")
def main(config: DictConfig) -> None:
    from hydra.core.hydra_config import HydraConfig

    from vrft_aug.data.knowledge import reading, review
    from vrft_aug.data.settings import Dataset

    dataset = Dataset.of(config.dataset)
    given = config.out or any(text.lstrip("+").startswith("dataset") for text in HydraConfig.get().overrides.task)
    if config.review and not given:
        print("\n".join(review.drafts(sorted(reading.BANK.glob("*.yaml")))))
        return
    path = Path(config.out) if config.out else reading.path_of(dataset)
    if config.review:
        print("\n".join(review.drafts([path])))
    elif config.accept is not None:
        print(review.accept(path, str(config.accept), str(config.by or "")))
    else:
        write_drafts(config, dataset, path)


def write_drafts(config: DictConfig, dataset: "Dataset", path: Path) -> None:
    from vrft_aug.data.knowledge.drafting import draft
    from vrft_aug.data.knowledge.endpoint import Endpoint
    from vrft_aug.data.knowledge.representatives import at_largest_size

    load, endpoint = at_largest_size(dataset, config.data_root).load(config.data_root), Endpoint(**config.endpoint)
    options = {"images": config.images, "seed": config.seed, "redraft": config.redraft}
    for progress in draft(dataset, load, endpoint, path, **options):
        tokens = f"{endpoint.tokens_in} + {endpoint.tokens_out} tokens"
        print(f"{progress} ({tokens}, cost so far {endpoint.cost:.4f})", flush=True)
    print(f"{path}: a person must review the drafts; list them with review=true, accept them with accept= and by=")


if __name__ == "__main__":
    main()
