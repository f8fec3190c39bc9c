"""What the tiny policy can do on diseases it has never met: it sees, reads, names, and answers in the right form."""

import json
import math

import pytest
from scipy.stats import binomtest

from vrft_aug.tiny import build, shipped

KNOWN = {"listed": 0.97, "form": 0.99}
ALONE = {"listed": 0.90, "form": 0.99}
BARS = {
    "4 classes, descriptions": {"thought": 0.85, "name": 0.85, **KNOWN},
    "8 classes, descriptions": {"thought": 0.80, "name": 0.70, **KNOWN},
    "4 classes, names alone": {"thought": 0.85, **ALONE},
    "8 classes, names alone": {"thought": 0.80, **ALONE},
}
BANK = "bank, text alone"
BANK_BAR = 0.80
FEW = 100  # images per probe in this test; the record of the build has more


def below(found: dict, images: int, errors: float) -> list[str]:
    """The scores that miss their bars. errors: standard errors of a share of `images` that are forgiven."""
    missed = []
    for probe, bars in BARS.items():
        for score, bar in bars.items():
            needed = bar - errors * math.sqrt(bar * (1 - bar) / images)
            if found[probe][score] < needed:
                missed.append(f"{probe}: {score} {found[probe][score]} < {needed:.3f}")
    return missed + ([f"{BANK}: {found[BANK]} < {BANK_BAR}"] if found[BANK] < BANK_BAR else [])


def above_chance(found: dict, images: int) -> list[str]:
    """The probes with names alone in which the right name is more frequent than by guessing.

    The made-up names say nothing, so a share whose exact 95 % interval is above chance would be a leak.
    """
    missed = []
    for classes in (4, 8):
        share = found[f"{classes} classes, names alone"]["name"]
        low = binomtest(round(share * images), images).proportion_ci(0.95, method="exact").low
        if low > 1 / classes:
            missed.append(f"{classes} classes, names alone: name {share}, at least {low:.3f}, chance {1 / classes:.3f}")
    return missed


def test_bars_of_the_policy():
    """On 100 images per probe, where a share of .88 may well be measured as .84: two standard errors are forgiven.

    The bank's entries are the same at every measurement, so nothing is forgiven there.
    """
    found = build.probe(shipped.FOLDER, FEW, print)
    assert below(found, FEW, errors=2) + above_chance(found, FEW) == []


def test_the_record_of_the_build_meets_the_bars():
    found, images = record()
    assert images >= 500 and below(found, images, errors=0) + above_chance(found, images) == []


def record() -> tuple[dict, int]:
    """What the build's probes found, and the number of images of each."""
    content = json.loads((shipped.FOLDER / shipped.RECORD).read_text())
    return content["probes"], content["images_per_probe"]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_policy_that_guesses_or_knows_too_much_misses_the_bars(share):
    found = {probe: dict.fromkeys(("thought", "name", "listed", "form"), share) for probe in BARS} | {BANK: share}
    assert bool(below(found, FEW, errors=2)) == (share == 0) and bool(above_chance(found, FEW)) == (share == 1)
