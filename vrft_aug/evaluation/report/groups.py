"""Groups the comparisons of a report by data set and split, and names these groups."""

from collections.abc import Sequence

from vrft_aug.evaluation.metrics.comparison import Comparison


def by_dataset(comparisons: Sequence[Comparison]) -> dict[tuple[str, str], list[Comparison]]:
    """{("<data_source>/<task>", split): the comparisons}."""
    named = [((one.dataset, one.evaluation.facts.split), one) for one in comparisons]
    return {name: [one for other, one in named if other == name] for name, _ in named}


def title_of(dataset: str, split: str) -> str:
    """The name of a data set and split in headings."""
    return f"{dataset}, {split} split" if split else dataset
