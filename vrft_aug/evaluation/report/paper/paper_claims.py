"""Tests the claims of a table on its runs: each is a paired difference on the same test images and seeds.

The one test of a claim is the mean difference over all data sets and numbers of images that it is about, each counting
alike; a claim with `every` has one such test per value of that axis, and all must hold. Holm's correction is over the
tests of the whole table. Data sets draw their seeds and images independently; within one they are drawn together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import Quantity
from vrft_aug.evaluation.metrics.seeds import Replicates
from vrft_aug.evaluation.metrics.verdicts import NOT_TESTED, conjunction, holm, verdict
from vrft_aug.evaluation.report.paper.claimed_pairs import Pair, missing, pairs_of, printed
from vrft_aug.evaluation.report.paper.paper_pairs import Difference, difference
from vrft_aug.evaluation.report.paper.paper_rows import PaperTable
from vrft_aug.experiments.cells import Table
from vrft_aug.experiments.claims import Claim


@dataclass(frozen=True)
class Result:
    """A mean difference; p and corrected: None of a claim with `every`, whose parts have them.

    verdict: see verdicts.py, or "not tested: <why>". at: the part's value of `every`. images: of all data sets.
    printed: the paper's difference.
    """

    verdict: str
    at: str = ""
    difference: Quantity | None = None
    p: float | None = None
    corrected: float | None = None
    images: int | None = None
    seeds: int | None = None
    datasets: tuple[str, ...] = ()
    shots: tuple[int | None, ...] = ()
    printed: float | None = None


@dataclass(frozen=True)
class Outcome:
    """A claim with its test, and its parts: one test per value of its axis `every`."""

    claim: Claim
    whole: Result
    parts: list[Result]

    @property
    def tests(self) -> list[Result]:
        return self.parts or [self.whole]


def judge(paper: PaperTable, table: Table) -> list[Outcome]:
    """The claims of the table in its order. A claim that cannot be tested says why; it is never an error."""
    found = [_measured(claim, paper, table) for claim in table.claims]
    p = [test.p for one in found for test in one.tests if test.p is not None]
    corrected = iter(holm(p))
    return [_judged(one, corrected) for one in found]


def _judged(one: Outcome, corrected: Iterator[float]) -> Outcome:
    """The claim with its verdict. corrected: the next p-values of the table, one for each test with a p."""
    tests = [_with_verdict(test, next(corrected)) if test.p is not None else test for test in one.tests]
    if not one.parts:
        return replace(one, whole=tests[0])
    return replace(one, whole=replace(one.whole, verdict=conjunction([part.verdict for part in tests])), parts=tests)


def _with_verdict(test: Result, corrected: float) -> Result:
    value = test.difference["value"] if test.difference else None
    return test if value is None else replace(test, corrected=corrected, verdict=verdict(value, corrected))


def _measured(claim: Claim, paper: PaperTable, table: Table) -> Outcome:
    """The claim's tests, not yet corrected."""
    pairs = list(pairs_of(claim, paper, table))
    theirs = None if claim.not_tested else printed(pairs, paper)
    if reason := claim.not_tested or missing(claim, pairs, paper):
        return Outcome(claim, Result(f"{NOT_TESTED}: {reason}", printed=theirs), [])
    try:
        differences = [difference(*pair.entries, claim.metric, claim.slice) for pair in pairs]
        whole = _test(pairs, differences, paper)
    except InputError as error:
        return Outcome(claim, Result(f"{NOT_TESTED}: {error}", printed=theirs), [])
    if claim.every is None:
        return Outcome(claim, whole, [])
    values = dict.fromkeys(pair.at(claim.every) for pair in pairs)
    parts = []
    for value in values:
        chosen = [number for number, pair in enumerate(pairs) if pair.at(claim.every) == value]
        part = _test([pairs[i] for i in chosen], [differences[i] for i in chosen], paper)
        parts.append(replace(part, at=value))
    return Outcome(claim, replace(whole, p=None), parts)


def _test(pairs: Sequence[Pair], differences: Sequence[Difference], paper: PaperTable) -> Result:
    mean = Replicates(fmean(one.replicates.value for one in differences),
                      np.mean([one.replicates.resampled for one in differences], axis=0))  # fmt: skip
    interval = mean.interval()
    if interval["value"] is None:
        raise InputError("the metric is undefined on these predictions")
    images = {pair.column: one.images for pair, one in zip(pairs, differences, strict=True)}
    datasets = tuple(paper.datasets[column] for column in images)
    shots = tuple(dict.fromkeys(pair.shots for pair in pairs))
    seeds = min(one.seeds for one in differences)
    return Result("", "", interval, mean.p(), None, sum(images.values()), seeds, datasets, shots, printed(pairs, paper))
