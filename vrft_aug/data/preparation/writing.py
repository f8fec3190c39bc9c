"""Writes the drawn samples as parquet rows, and keeps account of what it saw: fingerprints, sizes, conversions."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation.image_facts import FactsOfImages, ImageFacts, stamp
from vrft_aug.data.preparation.journal import Done, Files, Journal
from vrft_aug.data.preparation.mistakes import Mistakes
from vrft_aug.data.preparation.opening import Opened, OpenImages, Result, image_opener
from vrft_aug.data.preparation.prompt_budget import PromptBudget
from vrft_aug.data.preparation.sample_images import apart, together
from vrft_aug.data.preparation.selection import pick
from vrft_aug.data.preparation.split_files import SplitFiles, by_kind
from vrft_aug.data.preparation.strata import Positions
from vrft_aug.data.rows.composer import Composer
from vrft_aug.data.rows.frame import image_tokens, pairs
from vrft_aug.data.settings import Load
from vrft_aug.errors import InputError

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]  # (items, what is done, how many) -> the items


@dataclass
class Account:
    """What a pass over the images found. files: rows, bytes and checksum by name. facts: per split."""

    files: Files = field(default_factory=dict)
    facts: dict[str, FactsOfImages] = field(default_factory=dict)

    def counted(self, column: str) -> Counter[Any]:
        """How many images have each value of one of their facts."""
        counts: Counter[Any] = Counter()
        for facts in self.facts.values():
            for pair in facts.table()[column].value_counts().to_pylist():
                counts[pair["values"]] += pair["counts"]
        return counts


@dataclass
class Pass:
    """One pass over the drawn images. journal: where finished files are noted; None: nothing is written."""

    load: Load
    chosen: Mapping[str, Positions]
    composer: Composer
    budget: PromptBudget | None
    track: Track
    journal: Journal | None

    def run(self) -> Account:
        """Open each image once and write all rows, after those that are finished. A split without rows has no file.

        Raises InputError, with the first ten mistakes, for unreadable images and boxes that do not fit.
        """
        account, mistakes = Account(), Mistakes()
        with image_opener(self.composer.rule.workers, sum(map(len, self.chosen.values()))) as open_images:
            for split in self.chosen:
                done = self._finished(split)
                account.facts[split] = done.facts
                self._continue(split, done, open_images, mistakes)
                account.files |= by_kind(done.files)
        mistakes.raise_if_any()
        return account

    def _finished(self, split: str) -> Done:
        """What an interrupted pass has finished of a split."""
        if not self.journal:
            return Done()
        done = self.journal.finished(split, lambda number: pick(self.load(split), self.chosen[split][:number]))
        if self.budget:
            for one in done.facts.rows():
                self.budget.count(one.length)
        return done

    def _continue(self, split: str, done: Done, open_images: OpenImages, mistakes: Mistakes) -> None:
        """Write the rows of a split after those that are `done`, and add to it what was found."""
        positions = self.chosen[split][done.rows :]
        if not len(positions):
            return
        files = SplitFiles(split, self.composer, self.journal, done) if self.journal else None
        action = f"{'write' if files else 'check'} {split}"
        samples = self.track(pick(self.load(split), positions), action, len(positions))
        for number, (sample, results) in enumerate(together(open_images(apart(samples))), done.rows):
            with mistakes.noted(sample):
                first, *more = map(readable, results)
                shown, opened = self.composer.posed(sample, first, split)
                row = self.composer.rl(shown, opened, split, number, more)
                sizes = pairs(row["extra_info"]["image_size"])
                length = self.budget.add(row["prompt"][0]["content"], *sizes) if self.budget else 0
                self._found(done.facts, number, sample, [opened, *more], length)
                if files and not mistakes.faults:
                    files.write(row)
        if files and not mistakes.faults:
            files.close()

    def _found(
        self, facts: FactsOfImages, row: int, sample: Sample, images: Sequence[Opened], length: int
    ) -> None:
        """Add the facts of all images of a row; those that its prompt does not show may be copies too."""
        state = stamp(sample)
        for number, one in enumerate(images, 1):
            name = f"{sample.source_id}, image {number}" if len(images) > 1 else sample.source_id
            treatment = one.reading.treatment if one.reading else ""
            tokens = image_tokens(one.size, self.composer.policy)
            facts.append(ImageFacts(name, one.exact, one.near, row, state, tokens, length, one.note, treatment))


def readable(result: Result) -> Opened:
    if isinstance(result, InputError):
        raise result
    return result
