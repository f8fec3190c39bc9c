"""Collects mistakes in the data, so that one error shows the first ten instead of one per run."""

from collections.abc import Iterator
from contextlib import contextmanager

from vrft_aug.data.datasets.sample import Sample
from vrft_aug.errors import InputError

SHOWN = 10


class Mistakes:
    """Notes the InputErrors of samples. The tenth is the last: an error with all of them follows at once."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.remedies: dict[str, None] = {}  # a set in order: equal remedies are shown once

    @contextmanager
    def noted(self, sample: Sample) -> Iterator[None]:
        """Note an InputError of the block, with the sample's line in its table. Raises InputError after the tenth."""
        try:
            yield
        except InputError as error:
            fault, _, remedy = str(error).partition("; ")
            known = not sample.place or fault.startswith(sample.place)
            self.faults.append(fault if known else f"{sample.place}: {fault}")
            self.remedies[remedy] = None
            if len(self.faults) == SHOWN:
                self.raise_if_any()

    def raise_if_any(self) -> None:
        """Raise InputError, in one line, if there are mistakes."""
        if not self.faults:
            return
        number = f"the first {SHOWN}" if len(self.faults) == SHOWN else str(len(self.faults))
        start = f"{number} mistakes: " if len(self.faults) > 1 else ""
        raise InputError(start + "; ".join([*self.faults, *filter(None, self.remedies)]))
