"""Writes the rows, looks for copies of images across splits, and leaves them out if the rule says so."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vrft_aug.data.preparation import leakage
from vrft_aug.data.preparation.image_facts import stamp
from vrft_aug.data.preparation.journal import DECISION, Journal
from vrft_aug.data.preparation.selection import pick
from vrft_aug.data.preparation.strata import Positions
from vrft_aug.data.preparation.writing import Account, Pass


@dataclass
class Decision:
    """What `leakage=drop` leaves out: a report for the manifest, and rows per split.

    key: of the preparation. stamps: a checksum of the state of all image files. lengths: what the prompts' budget has
    counted, None without one. It is kept in the journal's folder, so that an interruption of the second pass does not
    cost the first one.
    """

    key: str
    stamps: str
    report: dict[str, Any]
    drop: dict[str, list[int]]
    lengths: list[int] | None

    def save(self, folder: Path) -> None:
        part = folder / f"{DECISION}.new"
        part.write_text(json.dumps(vars(self)), encoding="utf-8")
        part.replace(folder / DECISION)


def write_without_leaks(
    one: Pass, folder: Path | None, key: str
) -> tuple[Account, Mapping[str, Positions], dict[str, Any]]:
    """Write the rows and compare the splits; write again without the copies that `leakage=drop` leaves out.

    one: the pass over all drawn images. folder: of the journal; None: nothing is written. key: see journal.py.

    Returns the account of what was written, the positions that remain, and the report on copies.
    """
    decision = earlier(one, folder, key) if folder else None
    if not decision:
        account = replace(one, journal=Journal(folder, key) if folder else None).run()
        report, drop = leakage.check(account.facts, one.composer.rule.leakage)
        if not any(drop.values()):
            return account, one.chosen, report
        lengths = [one.budget.rows, one.budget.over, one.budget.longest] if one.budget else None
        decision = Decision(key, checksum(account), report, {split: sorted(drop[split]) for split in drop}, lengths)
        if folder:
            decision.save(folder)
    remaining = {split: np.delete(rows, decision.drop[split]) for split, rows in one.chosen.items()}
    second = f"{key} without {hashlib.sha256(json.dumps(decision.drop).encode()).hexdigest()}"
    journal = Journal(folder, second) if folder else None
    account = replace(one, chosen=remaining, budget=None, journal=journal).run()
    return account, remaining, decision.report


def earlier(one: Pass, folder: Path, key: str) -> Decision | None:
    """The decision of an interrupted preparation of the same key and images. The budget then has its figures."""
    try:
        found = Decision(**json.loads((folder / DECISION).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    if found.key != key or found.stamps != checksum_now(one):
        (folder / DECISION).unlink()
        return None
    if one.budget and found.lengths:
        one.budget.rows, one.budget.over, one.budget.longest = found.lengths
    return found


def checksum(account: Account) -> str:
    """One checksum of the stamps of all images, as they were."""
    whole = hashlib.sha256()
    for facts in account.facts.values():
        for fact in facts.rows():
            whole.update(fact.stamp.to_bytes(8))
    return whole.hexdigest()


def checksum_now(one: Pass) -> str:
    """The same of the images as they are."""
    whole = hashlib.sha256()
    for split, positions in one.chosen.items():
        for sample in pick(one.load(split), positions):
            whole.update(stamp(sample).to_bytes(8))
    return whole.hexdigest()
