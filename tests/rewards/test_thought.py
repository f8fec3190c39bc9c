"""The thought is right if it names the findings; nobody is paid for it."""

import pytest
from reward_rows import BOX, BREAST, PIXELS, RETINA, think

from vrft_aug.rewards import compute_score
from vrft_aug.rewards.objective import FOLDER
from vrft_aug.rewards.thought import thought_right

RINGS = "two dark rings in the upper left"


@pytest.mark.parametrize(("findings", "thought", "right"), [
    (RINGS, "two dark rings in the upper left, which fits Brinsol", 1.0),
    (RINGS, "I see Two  dark\nRINGS in the upper left.", 1.0),
    (f" {RINGS.upper()} ", f"({RINGS})", 1.0),
    (RINGS, "two dark rings in the upper right, which fits Brinsol", 0.0),
    (RINGS, "two dark rings", 0.0),
    ("one dark ring", "one dark ring", 1.0),
    ("one dark ring", "one dark rings", 0.0),
    ("one dark ring", "none dark ring", 0.0),
    ("one mass (2 cm)", "here is one mass (2 cm).", 1.0),  # characters of regular expressions are ordinary ones
    ("one mass (2 cm)", "here is one mass 2 cm.", 0.0),
])  # fmt: skip
def test_the_findings_must_be_in_the_thought_as_whole_words(findings: str, thought: str, right: float):
    row = RETINA | {"findings": findings}
    assert thought_right(think(r"\boxed{3}", thought), row) == right


def test_findings_outside_the_thought_do_not_count():
    row = RETINA | {"findings": RINGS}
    assert thought_right(think(rf"{RINGS} \boxed{{3}}"), row) == 0.0
    assert thought_right(think(rf"\boxed{{{RINGS}}}"), row) == 0.0


@pytest.mark.parametrize("row", [RETINA, RETINA | {"findings": ""}, RETINA | {"findings": None}])
def test_a_row_without_findings_has_no_verdict(row: dict):
    assert thought_right(think(r"\boxed{3}", ""), row) is None


@pytest.mark.parametrize("objective", sorted(path.stem for path in FOLDER.glob("*.yaml")))
@pytest.mark.parametrize(("row", "truth", "answer"), [
    (BREAST, "malignant", r"\boxed{malignant}"), (RETINA, "2", r"\boxed{3}"),
    (PIXELS, BOX, "<answer>[100, 100, 200, 150]</answer>"),
])  # fmt: skip
def test_nobody_pays_for_the_thought(objective: str, row: dict, truth: str, answer: str):
    response = think(answer, RINGS)
    scored = [compute_score("toy", response, truth, row | known, objective, tokens=12)
              for known in ({}, {"findings": ""}, {"findings": RINGS}, {"findings": "three bright discs"})]  # fmt: skip
    assert all(one == scored[0] for one in scored)
    assert thought_right(response, row | {"findings": RINGS}) == 1.0
