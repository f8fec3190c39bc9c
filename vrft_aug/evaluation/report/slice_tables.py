"""Makes the tables "For whom does it fail?" (accuracy per slice) and "Readers" (agreement), and their CSV files."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.metrics.verdicts import holm
from vrft_aug.evaluation.report.text_table import Table, interval, limits

SLICES = (
    "For whom does it fail: gap is the best minus the worst accuracy, with an interval that holds for all pairs of "
    "slices together, because the worst of several slices is low by chance as well. p: permutation test of equal "
    "accuracy in all slices, corrected for the number of slice columns (Holm). (few): fewer than 10 images or groups; "
    "not compared."
)
READERS = "Readers: agreement is the share of images with the same class. The first row of each pair is what to expect."
LONGEST = 20  # slices of a column in a table; slices.csv has all
Found = Mapping[str, Any]  # what slices.py or readers.py returned


def slice_tables(groups: Mapping[str, Sequence[Comparison]]) -> list[Table]:
    """Both tables of each data set that has slices or readers. groups: {title of a data set: its runs}."""
    tables = []
    for title, runs in groups.items():
        header = ["", "Images", *(one.name for one in runs)]
        if rows := [row for name in _names(runs, "slices") for row in _slice_rows(name, runs)]:
            tables.append(Table(f"For whom does it fail? Accuracy, %: {title}", header, rows))
        if rows := list(_reader_rows(runs)):
            tables.append(Table(f"Readers, agreement in %: {title}", header, rows))
    return tables


def frames(comparisons: Sequence[Comparison]) -> dict[str, pd.DataFrame]:
    """slices.csv and readers.csv, as far as there is something to write: one row per run and slice, or pair."""
    slices = [{"run": one.name, "set": one.dataset} | record for one in comparisons for record in _slice_records(one)]
    readers = [{"run": one.name, "set": one.dataset, "pair": pair, "images_of": images, "n": found["n"],
                **limits("agreement", found["agreement"]), **limits("quadratic_kappa", found.get("quadratic_kappa"))}
               for one in comparisons for (pair, images), found in _pairs(one).items()]  # fmt: skip
    return {name: pd.DataFrame(rows) for name, rows in (("slices.csv", slices), ("readers.csv", readers)) if rows}


def _names(runs: Sequence[Comparison], key: str) -> list[str]:
    return list(dict.fromkeys(name for one in runs for name in one.metrics.get(key, {})))


def _slice_rows(name: str, runs: Sequence[Comparison]) -> Iterator[list[str]]:
    """The rows of one slice column: its values, the worst, the gap, and the test."""
    columns: list[Found] = [one.metrics.get("slices", {}).get(name, {"of": {}}) for one in runs]
    known = {value: facts for column in columns for value, facts in column["of"].items()}
    largest = sorted(known, key=lambda value: (-known[value]["n"], _order(value)))[:LONGEST]
    for value in sorted(largest, key=_order):
        few = " (few)" if known[value]["too_small"] else ""
        cells = [interval(column["of"].get(value, {}).get("accuracy"), 100) for column in columns]
        yield [f"{name}: {value}{few}", _images([column["of"].get(value) for column in columns]), *cells]
    if len(known) > LONGEST:
        yield [f"{name}: {len(known) - LONGEST} more, see slices.csv", *["–"] * (1 + len(runs))]
    if unknown := max((column.get("unknown", 0) for column in columns), default=0):
        yield [f"{name}: unknown", str(unknown), *["–"] * len(runs)]
    if any(column.get("gap") for column in columns):
        yield ["  worst", "", *(column.get("worst") or "–" for column in columns)]
        yield ["  gap, points", "", *(interval(column.get("gap"), 100) for column in columns)]
        yield ["  p, accuracy differs", "", *(_p(_corrected(one).get(name)) for one in runs)]


def _order(value: str) -> tuple[float, bool, str]:
    """Bands of numbers ascend, from "under 40" to "60+"; other values are in the order of the alphabet."""
    number = re.search(r"\d+(\.\d+)?", value)
    return float(number[0]) if number else math.inf, not value.startswith("under "), value


def _images(found: Sequence[Found | None]) -> str:
    return " / ".join(dict.fromkeys(str(one["n"]) for one in found if one))


def _corrected(one: Comparison) -> dict[str, float]:
    """The p-values of a run's slice columns, corrected for their number."""
    tested = {name: found["p"] for name, found in one.metrics.get("slices", {}).items() if found["p"] is not None}
    return dict(zip(tested, holm(list(tested.values())), strict=True))


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _slice_records(one: Comparison) -> Iterator[dict[str, Any]]:
    for name, found in one.metrics.get("slices", {}).items():
        test = {"worst": found["worst"], **limits("gap", found["gap"]), "p": found["p"],
                "p_corrected": _corrected(one).get(name)}  # fmt: skip
        for value, facts in found["of"].items():
            about = {key: facts[key] for key in ("n", "groups", "too_small")}
            yield {"slice": name, "value": value, **about, **limits("accuracy", facts["accuracy"]), **test}


def _reader_rows(runs: Sequence[Comparison]) -> Iterator[list[str]]:
    by_run = [_pairs(one) for one in runs]
    for pair, images in dict.fromkeys(key for found in by_run for key in found):
        found = [one.get((pair, images)) for one in by_run]
        heading = f"{pair}{images and f', images of {images}'}"
        yield [heading, _images(found), *(interval((one or {}).get("agreement"), 100) for one in found)]
        kappas = [(one or {}).get("quadratic_kappa") for one in found]
        if any(kappas):
            yield ["  quadratic weighted kappa", "", *(interval(kappa, 1) for kappa in kappas)]


def _pairs(one: Comparison) -> dict[tuple[str, str], Found]:
    """{(pair, readers whose images these are, "" for the pair's own): agreement}."""
    readers = one.metrics.get("readers")
    if not readers:
        return {}
    found: dict[tuple[str, str], Found] = {}
    for first, others in readers["each_other"].items():
        for second, agreement in others.items():
            found[f"{first} and {second}", ""] = agreement
            for name, same in agreement["policy"].items():
                found[f"policy and {name}", f"{first} and {second}"] = same
    return found | {(f"policy and {name}", ""): agreement for name, agreement in readers["policy"].items()}
