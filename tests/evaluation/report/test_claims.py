"""Tests the claims of a table: planted differences, their verdicts, and claims that cannot be tested."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from toy_runs import predictions, write_cell
from toy_tables import HELPS, ROWS, TRUTH, judged, table

from vrft_aug.evaluation.report.content import Asked
from vrft_aug.evaluation.report.paper.claims_layout import claims_frame, claims_notes, claims_table
from vrft_aug.evaluation.report.report import write_report


def right(share: float, shift: int = 0, truth: list[str] = TRUTH) -> list[str]:
    """Answers of which a share is right; another shift, other images."""
    position = (np.arange(len(truth)) * 7 + shift) % len(truth)
    return [label if place < share * len(truth) else "no" for place, label in zip(position, truth, strict=True)]


def write(root: Path, experiment: str, answers: list[str], dataset: str = "retina", shots: int = 256, **run) -> None:
    rows = predictions(TRUTH, answers, data_source=dataset)
    write_cell(root, "tiny", dataset, shots, experiment, rows=rows, **run)


def test_planted_differences_are_supported_contradicted_or_neither(tmp_path: Path):
    for experiment, share in (("zero_shot", 0.3), ("v_rft", 0.5), ("v_rft_pa_p", 0.51)):
        write(tmp_path, experiment, right(share))
    more = {"text": "training helps", "better": "v_rft", "worse": "zero_shot"}
    less = {"text": "training harms", "better": "zero_shot", "worse": "v_rft"}
    few = {"text": "reciprocal", "better": "v_rft_pa_p", "worse": "v_rft", "metric": "format"}
    found = judged(tmp_path, more, less, HELPS, few)
    assert [one.whole.verdict for one in found[:2]] == ["supported", "contradicted"]
    assert found[3].whole.verdict == "not supported" and found[3].whole.p == 1  # every answer has the form
    whole = found[0].whole
    assert whole.difference["value"] == pytest.approx(0.2) and (whole.images, whole.seeds) == (400, 1)
    assert whole.difference["low"] < 0.2 < whole.difference["high"] and whole.difference["low"] > 0.1
    assert whole.corrected == pytest.approx(4 * whole.p)
    half = 1.96 * np.sqrt(0.2 * 0.8 / 400)  # 80 of 400 images are gained and none is lost
    assert whole.difference["high"] - 0.2 == pytest.approx(half, rel=0.15)


def test_the_correction_can_take_a_verdict_away(tmp_path: Path):
    for experiment, answers in (("v_rft", right(0.5)), ("v_rft_pa_p", right(0.525, shift=-4))):
        write(tmp_path, experiment, answers)
    (alone,) = judged(tmp_path, HELPS)
    assert alone.whole.verdict == "supported" and 0.01 < alone.whole.p == alone.whole.corrected < 0.05
    many = judged(tmp_path, *[HELPS] * 6)
    assert {one.whole.verdict for one in many} == {"not supported"}
    assert many[0].whole.p == alone.whole.p and many[0].whole.corrected == pytest.approx(6 * alone.whole.p)


def test_a_claim_about_every_number_of_images_has_one_test_each(tmp_path: Path):
    for shots, share in ((10, 0.5), (256, 0.75)):
        write(tmp_path, "v_rft", right(0.5), shots=shots)
        write(tmp_path, "v_rft_pa_p", right(share), shots=shots)
    (one, mean) = judged(tmp_path, HELPS | {"every": "shots"}, HELPS, shots=[10, 256])
    assert one.whole.verdict == "not supported" and one.whole.p is None
    assert [(part.at, part.verdict) for part in one.parts] == [
        ("10 images per class", "not supported"), ("256 images per class", "supported")
    ]  # fmt: skip
    assert mean.whole.verdict == "supported" and mean.whole.difference["value"] == pytest.approx(0.125)
    assert one.parts[1].corrected == pytest.approx(3 * one.parts[1].p)  # three tests in the table
    both = judged(tmp_path, HELPS | {"shots": [256], "every": "shots"}, shots=[10, 256])
    assert both[0].whole.verdict == "supported" and len(both[0].parts) == 1


def test_a_policy_without_training_is_compared_at_every_number_of_images(tmp_path: Path):
    write(tmp_path, "zero_shot", right(0.3))
    for shots in (10, 256):
        write(tmp_path, "v_rft", right(0.6), shots=shots)
    claim = {"text": "training helps", "better": "v_rft", "worse": "zero_shot", "every": "shots"}
    (one,) = judged(tmp_path, claim, shots=[10, 256])
    assert one.whole.verdict == "supported" and len(one.parts) == 2


def test_numbers_of_images_are_compared(tmp_path: Path):
    for shots, share in ((10, 0.4), (256, 0.7)):
        write(tmp_path, "v_rft", right(share), shots=shots)
    claim = {"text": "more is better", "better": "v_rft", "better_shots": 256, "worse": "v_rft", "worse_shots": 10}
    (one,) = judged(tmp_path, claim, shots=[10, 256])
    assert one.whole.verdict == "supported" and one.whole.difference["value"] == pytest.approx(0.3)


def test_data_sets_count_alike_and_a_claim_may_name_some(tmp_path: Path):
    write(tmp_path, "v_rft", right(0.5))
    write(tmp_path, "v_rft_pa_p", right(0.7))
    for experiment, share in (("v_rft", 0.5), ("v_rft_pa_p", 0.4)):
        rows = predictions(TRUTH[:100], right(share, truth=TRUTH[:100]), data_source="covid19")
        write_cell(tmp_path, "tiny", "covid19", 256, experiment, rows=rows)
    two = {"datasets": ["retina", "covid19"]}
    mean, one, every = judged(tmp_path, HELPS, HELPS | {"datasets": ["retina"]}, HELPS | {"every": "datasets"}, **two)
    assert mean.whole.difference["value"] == pytest.approx(0.05) and mean.whole.images == 500
    assert one.whole.difference["value"] == pytest.approx(0.2) and one.whole.images == 400
    assert [part.at for part in every.parts] == ["retina", "covid19"]
    assert every.whole.verdict == "contradicted" and every.parts[0].verdict == "supported"


def test_seeds_that_disagree_support_nothing_although_one_seed_would(tmp_path: Path):
    for seed, share in enumerate((0.9, 0.5, 0.4)):
        write(tmp_path, "v_rft", right(0.5), seed=seed)
        write(tmp_path, "v_rft_pa_p", right(share), seed=seed)
    (three,) = judged(tmp_path, HELPS, seeds=[0, 1, 2])
    assert three.whole.verdict == "not supported" and three.whole.seeds == 3
    assert three.whole.difference["value"] == pytest.approx(0.1)
    assert "3 seeds say little" in claims_notes([three])[1] and "25 %" in claims_notes([three])[1]
    (one,) = judged(tmp_path / "tiny" / "retina-256" / "seed-0", HELPS)
    assert one.whole.verdict == "supported" and one.whole.seeds == 1
    assert "nothing about another training" in claims_notes([one])[1]


def test_one_run_of_an_untrained_policy_is_compared_with_every_seed(tmp_path: Path):
    write(tmp_path, "zero_shot", right(0.2), seed=0)
    for seed in (0, 1):
        write(tmp_path, "v_rft", right(0.5 + seed / 10), seed=seed)
    claim = {"text": "training helps", "better": "v_rft", "worse": "zero_shot"}
    (one,) = judged(tmp_path, claim, seeds=[0, 1], untrained=[("zero_shot", "tiny")])
    assert one.whole.verdict == "supported" and one.whole.seeds == 2
    assert one.whole.difference["value"] == pytest.approx(0.35)
    (one,) = judged(tmp_path, claim, seeds=[0, 1])
    assert one.whole.verdict == "not tested: tiny/retina-256/seed-1/zero_shot is missing"


def test_metrics_that_are_no_means_over_images(tmp_path: Path):
    for experiment, answers in (("v_rft", ["0"] * 400), ("v_rft_pa_p", TRUTH)):
        write(tmp_path, experiment, answers)
    names = ("balanced_accuracy", "quadratic_kappa")
    balanced, kappa = judged(tmp_path, *(HELPS | {"metric": name} for name in names))
    assert balanced.whole.verdict == "supported" and balanced.whole.difference["value"] == pytest.approx(0.8)
    assert kappa.whole.difference["value"] == pytest.approx(1)


def test_a_metric_of_some_images_is_compared_on_these(tmp_path: Path):
    for experiment, named in (("v_rft", 0.0), ("v_rft_pa_p", 1.0)):
        rows = predictions(TRUTH, right(0.5), data_source="retina", thought_right=[named] * 100 + [None] * 300)
        write_cell(tmp_path, "tiny", "retina", 256, experiment, rows=rows)
    thought, other = judged(tmp_path, *(HELPS | {"metric": name} for name in ("thought_accuracy", "confidence")))
    assert (thought.whole.verdict, thought.whole.images) == ("supported", 100)
    assert thought.whole.difference["value"] == 1
    assert other.whole.verdict == "not tested: the predictions have no numeric column confidence"


def test_what_is_missing_is_said(tmp_path: Path):
    write(tmp_path, "v_rft", right(0.5))
    rows = predictions(TRUTH[1:], right(0.5)[1:], data_source="retina")
    write_cell(tmp_path, "tiny", "retina", 256, "zero_shot", rows=rows)
    claims = [
        (HELPS, "tiny/retina-256/v_rft_pa_p is missing"),
        (HELPS | {"datasets": ["retina", "oct"]}, "the table has no oct"),
        (HELPS | {"shots": [20]}, "the table has no 20 images per class"),
        (HELPS | {"worse": "v_sft"}, "the table has no pair of cells of v_rft_pa_p and v_sft"),
        (HELPS | {"better_policy": "larger"}, "the table has no pair of cells of v_rft_pa_p and v_rft"),
        (HELPS | {"not_tested": "it is about speed"}, "it is about speed"),
        (HELPS | {"better": "zero_shot"}, "the runs are not of the same test images; evaluate all on the same rows"),
    ]
    found = judged(tmp_path, *(claim for claim, _ in claims))
    assert [one.whole.verdict for one in found] == [f"not tested: {reason}" for _, reason in claims]
    assert not any(one.parts for one in found)


def test_the_papers_difference_stands_beside_ours(tmp_path: Path):
    write(tmp_path, "v_rft", right(0.5), dataset="oct")
    claims = [HELPS | {"every": "shots"}, HELPS | {"datasets": ["retina"], "shots": [256]}]
    rows = [{"experiment": name, "shots": None} for name in ("v_rft", "v_rft_pa_p")]
    sets = ["breast", "pneumonia", "oct", "retina", "derma", "tissue", "blood", "organa"]
    every, one = judged(tmp_path, *claims, name="table1", rows=rows, datasets=sets, shots=[10, 256])
    assert every.whole.printed == pytest.approx((0.0689 + 0.0377) / 2, abs=1e-3)  # as the text of the paper says
    assert one.whole.printed == pytest.approx(0.0075)
    assert every.whole.verdict.startswith("not tested: ") and "and 27 more are missing" in every.whole.verdict


def test_table_and_csv(tmp_path: Path):
    for experiment, share in (("v_rft", 0.5), ("v_rft_pa_p", 0.7)):
        write(tmp_path, experiment, right(share))
    found = judged(tmp_path, HELPS | {"every": "datasets"}, HELPS | {"metric": "response_length"}, name="table3")
    lines = claims_table(found).rows
    assert [line[0] for line in lines] == ["PA_P helps", "  retina", "PA_P helps (response_length)"]
    assert lines[0][1] == "supported" and lines[0][3:] == ["–", "–", "−16.00", "400", "1"]
    assert lines[1][2].startswith("+20.0 (+16.") and lines[1][3:5] == ["< 0.001", "0.002"]
    assert lines[2][1:3] == ["not supported", "0.000 (0.000 to 0.000)"]
    rows = claims_frame(found)
    assert list(rows["at"]) == ["", "retina", ""] and list(rows["verdict"])[:2] == ["supported", "supported"]
    assert rows["difference"][1] == pytest.approx(0.2) and rows["paper"][1] == pytest.approx(-0.16)
    assert list(rows["datasets"]) == ["retina"] * 3 and pd.isna(rows["p"][0])
    assert claims_table([]) is None and claims_notes([]) == []


def test_a_claim_is_about_the_data_sets_that_both_rows_have(tmp_path: Path):
    for experiment, share in (("v_rft", 0.5), ("v_rft_pa_p", 0.7)):
        write(tmp_path, experiment, right(share))
    rows = [{"experiment": "v_rft"}, {"experiment": "v_rft_pa_p", "datasets": ["retina"]}]
    (one,) = judged(tmp_path, HELPS, rows=rows, datasets=["retina", "covid19"])
    assert (one.whole.verdict, one.whole.datasets) == ("supported", ("retina",))


def test_the_report_has_the_claims_in_every_form(tmp_path: Path):
    for experiment, share in (("v_rft", 0.5), ("v_rft_pa_p", 0.7)):
        write(tmp_path / "runs", experiment, right(share))
    spec = {"rows": ROWS, "datasets": ["retina"], "claims": [HELPS, HELPS | {"text": "x <b>", "worse": "zero_shot"}]}
    console, out = Console(record=True, width=200, file=io.StringIO()), tmp_path / "report"
    files = write_report([tmp_path / "runs"], out, None, console, Asked("mine", table("mine", **spec)), images=0)
    assert out / "claims.csv" in files
    rows = pd.read_csv(out / "claims.csv")
    assert list(rows["verdict"]) == ["supported", "not tested: tiny/retina-256/zero_shot is missing"]
    text, page = (out / "report.md").read_text(), (out / "report.html").read_text()
    assert "## Claims" in text and "| PA_P helps | supported | +20.0 (" in text
    assert '<section id="claims">' in page and "x &lt;b&gt;" in page and 'href="#claims"' in page
    for said in (text, page, console.export_text()):
        assert "Holm" in said and "nothing about another training" in said
