"""Sorts the overrides given to experiments.py into those that its stages get, and refuses those that it would ignore.

hardware.*  policy.*        every stage
policy.path                 the stages before a training has made another policy: rows, first training, zero-shot test
schedule  schedule.*        every training except the warm start
tests.*                     every test, as tests.preset=journal
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from vrft_aug.configs import flatten
from vrft_aug.errors import InputError

OWN = ("out", "plan", "plan_tokens_per_second", "data_root", "seed", "table", "hardware", "policy", "schedule",
       "submit", "jobs", "address", "sbatch", "warm", "beside")  # fmt: skip
TREES = ("stages", "training", "tests")  # keys below them go to the stages
OF_A_CELL = ("dataset", "shots", "policy", "policy.path", "prompt", "objective", "variant", "experiment", "preset",
             "protocol", "parquet", "out", "method", "seed")  # fmt: skip


@dataclass(frozen=True)
class Given:
    """Overrides for every stage, for every training except the warm start, and for the stages that start afresh."""

    every: tuple[str, ...]
    training: tuple[str, ...]
    start: tuple[str, ...]


def sort_overrides(overrides: Sequence[str]) -> Given:
    """Sort the command line of experiments.py, without its keys below `stages`, `training` and `tests`.

    Raises InputError for an override that would change nothing.
    """
    every, training, start = [], [], []
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    keys = [one.key_or_group for one in parsed]
    for override, key in zip(parsed, keys, strict=True):
        group, _, inner = key.partition(".")
        if group in TREES and inner:
            _check_tree(override, group, inner)
        elif key == "policy.path":
            if "policy" not in keys:
                raise InputError(f"{override.input_line}: the table may have several policies; add policy=<the file of "
                                 "conf/policy that describes this one>")  # fmt: skip
            start.append(_forwarded(override))
        elif group in ("hardware", "policy") and inner:
            every.append(_forwarded(override))
        elif group == "schedule":
            training.append(_forwarded(override))
        elif override.package is not None or not (key in (*OWN, *TREES) or group == "table"):
            _check_not_of_a_cell(override, key)
            raise InputError(f"{override.input_line}: experiments.py does not use {key}; +stages.{key}=<value> sets it "
                             f"in every stage, +training.{key}=<value> in every training")  # fmt: skip
    return Given(tuple(every), tuple(training), tuple(start))


def _check_tree(override: Override, group: str, key: str) -> None:
    """Raise InputError for a key that each cell sets itself, and for an empty mapping, which would set nothing."""
    if (group, key) != ("tests", "preset"):  # a test has none of its own
        _check_not_of_a_cell(override, key)
    if not flatten(override.value()):
        raise InputError(f"{override.input_line}: an empty mapping sets nothing; use +{group}.{key}.<key>=<value>")


def _check_not_of_a_cell(override: Override, key: str) -> None:
    if key in OF_A_CELL or key.startswith("method."):
        raise InputError(f"{override.input_line}: each cell sets {key} itself; change the table (table.rows, "
                         "table.datasets, table.shots, table.seeds, policy=), or write a file in "
                         "conf/experiment")  # fmt: skip


def _forwarded(override: Override) -> str:
    """The override for a stage. A `+` is only for keys that no stage knows, and of those hardware.env has some."""
    if override.is_delete():
        return str(override.input_line)
    added = override.is_add() or override.is_force_add()
    plus = "++" if added and override.key_or_group.startswith("hardware.") else ""
    return f"{plus}{override.key_or_group}={override.input_line.partition('=')[2]}"
