"""Four toy policies, each with one fault: the report names it in one plain sentence at its top."""

from pathlib import Path

import numpy as np
import pytest
from toy_runs import predictions, write_evaluation

from vrft_aug.evaluation.metrics.comparison import compare
from vrft_aug.evaluation.report.content import gather
from vrft_aug.evaluation.report.markdown import markdown
from vrft_aug.evaluation.report.page.render import render
from vrft_aug.evaluation.report.shown import BAD, HEADING, findings
from vrft_aug.evaluation.runs import find

CLASSES = ("a", "b", "c", "d")
RNG = np.random.default_rng(0)
TRUTH = RNG.choice(CLASSES, 400, p=[0.4, 0.2, 0.2, 0.2]).tolist()


def guesses(share_right: float, seed: int) -> list[str]:
    """Answers of which a share is right, and the others are drawn."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(400) < share_right, TRUTH, rng.choice(CLASSES, 400)).tolist()


def write(folder: Path, answers: list[str], sure: float = 0.0, **beside: list[str]) -> Path:
    """A run and what lies beside it. sure: probability of each answer; 0: honest, the share that is right."""
    right = float(np.mean(np.array(answers) == TRUTH))
    top = sure or right
    scores = [[top if name == answer else (1 - top) / 3 for name in CLASSES] for answer in answers]
    rows = predictions(TRUTH, answers, CLASSES, "classification", probabilities=scores)
    write_evaluation(folder, folder.name, rows, parquet="rows")
    for name, other in beside.items():
        altered = predictions(TRUTH, other, CLASSES, "classification")
        write_evaluation(folder / name, f"{folder.name}, {name}", altered, beside=name)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    root, good, poor = tmp_path_factory.mktemp("runs"), guesses(0.8, 1), guesses(0.0, 2)
    write(root / "good", good, shuffled=poor, wrong_knowledge=poor, pixels=guesses(0.3, 3))
    write(root / "blind", guesses(0.4, 4), shuffled=guesses(0.4, 5), wrong_knowledge=poor)
    write(root / "deaf", good, shuffled=poor, wrong_knowledge=guesses(0.8, 6))
    write(root / "prior", ["a"] * 400, shuffled=["a"] * 400)
    write(root / "sure", good, sure=0.999, shuffled=poor, wrong_knowledge=poor)
    return root


def faults(runs: Path) -> dict[str, list[str]]:
    found = compare(find([runs]).evaluations)
    return {one.name: [line.text for line in findings(one) if line.kind == BAD] for one in found}


def test_each_fault_is_named_and_no_other(runs: Path):
    found = faults(runs)
    assert found["good"] == []
    blind = "It is not shown to look at the image"
    assert [line.partition(":")[0] for line in found["blind"]] == [blind]
    assert [line.partition(":")[0] for line in found["deaf"]] == ["It is not shown to read the knowledge"]
    assert [line.partition(":")[0] for line in found["prior"]][:2] == ["It answers by prior", blind]
    assert [line.partition(":")[0] for line in found["sure"]] == ["It is over-confident"]


def test_the_sentences_hold_the_numbers(runs: Path):
    found = {one.name: " ".join(line.text for line in findings(one)) for one in compare(find([runs]).evaluations)}
    share = np.mean(np.array(guesses(0.8, 1)) == TRUTH)
    assert f"{100 * share:.1f} % of its answers are right" in found["good"]
    assert "mean probability is 99.9 %" in found["sure"]
    assert "100.0 % of its answers are a" in found["prior"]
    assert "It is better than logistic regression on its pixels" in found["good"]


def test_they_come_first_and_lead_to_their_numbers(runs: Path):
    content = gather([runs], None, None)
    page, text = render(content, images=0).decode(), markdown(content)
    assert page.index(HEADING) < page.index("<h2>Results</h2>") and text.index(HEADING) < text.index("## Results")
    anchors = {line.section for one in content.comparisons for line in findings(one)}
    assert anchors == {"results", "conditions", "probabilities"}
    assert all(f'<section id="{anchor}">' in page for anchor in anchors)


def test_what_was_not_measured_is_not_spoken_of(tmp_path: Path):
    write_evaluation(tmp_path / "run", "run", predictions(TRUTH, guesses(0.8, 1), CLASSES, "classification"))
    (one,) = compare(find([tmp_path]).evaluations)
    assert {line.question for line in findings(one)} == {"Is it right?"}


def test_a_slice_in_which_it_fails_is_named(tmp_path: Path):
    sexes, sites = ["female", "male"] * 200, ["north", "north", "south", "south"] * 100
    answers = [label if place % 2 else "b" for place, label in enumerate(TRUTH)]  # right for males
    rows = predictions(TRUTH, answers, CLASSES, "classification", slice_sex=sexes, slice_site=sites)
    write_evaluation(tmp_path / "run", "run", rows)
    (one,) = compare(find([tmp_path]).evaluations)
    texts = [line.text for line in findings(one) if line.section == "slices"]
    assert texts[0].startswith("Its accuracy differs by sex: it is lowest for female, with ")
    assert texts[1] == "No difference by site is shown."


def test_hostile_names_stay_text(tmp_path: Path):
    names = ("<script>alert(1)</script>", "b")
    truth = [names[0]] * 300 + [names[1]] * 100
    write_evaluation(tmp_path / "run", "run", predictions(truth, [names[0]] * 400, names, "classification"))
    content = gather([tmp_path], None, None)
    assert "It answers by prior" in markdown(content)
    assert "<script>alert" not in markdown(content) and b"<script>alert" not in render(content, images=0)
