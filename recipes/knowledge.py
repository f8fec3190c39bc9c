"""Draft knowledge entries, or list the drafts.  python recipes/knowledge.py dataset=blood endpoint.model=<name>"""

from functools import partial
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from vrft_aug.cli import recipe


@recipe("knowledge")
def main(config: DictConfig) -> None:
    from hydra.utils import instantiate

    from vrft_aug.data.knowledge import drafting, reading
    from vrft_aug.data.knowledge.endpoint import Endpoint

    if config.review:
        print("\n".join(drafting.review()))
        return
    dataset = OmegaConf.to_container(config.dataset, resolve=True)
    load = partial(instantiate(config.dataset.loader, _partial_=True), Path(config.data_root))
    endpoint = Endpoint(**config.endpoint)
    path = Path(config.out) if config.out else reading.path_of(dataset)
    drafts = drafting.draft(
        dataset, load, endpoint, path, images=config.images, seed=config.seed, redraft=config.redraft
    )
    for progress in drafts:
        tokens = f"{endpoint.tokens_in} + {endpoint.tokens_out} tokens"
        print(f"{progress} ({tokens}, cost so far {endpoint.cost:.4f})", flush=True)
    print(f"{path}: drafts need a review; see them with review=true")


if __name__ == "__main__":
    main()
