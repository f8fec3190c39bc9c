"""Drafts knowledge entries, or lists the drafts.  python recipes/knowledge.py dataset=blood endpoint.model=<name>"""

from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("knowledge")
def main(config: DictConfig) -> None:
    from vrft_aug.data.knowledge import reading
    from vrft_aug.data.knowledge.drafting import draft
    from vrft_aug.data.knowledge.endpoint import Endpoint
    from vrft_aug.data.settings import Dataset

    if config.review:
        print("\n".join(reading.review()))
        return
    dataset, endpoint = Dataset.of(config.dataset), Endpoint(**config.endpoint)
    path = Path(config.out) if config.out else reading.path_of(dataset)
    options = {"images": config.images, "seed": config.seed, "redraft": config.redraft}
    for progress in draft(dataset, dataset.load(config.data_root), endpoint, path, **options):
        tokens = f"{endpoint.tokens_in} + {endpoint.tokens_out} tokens"
        print(f"{progress} ({tokens}, cost so far {endpoint.cost:.4f})", flush=True)
    print(f"{path}: a person must review the drafts; list them with review=true")


if __name__ == "__main__":
    main()
