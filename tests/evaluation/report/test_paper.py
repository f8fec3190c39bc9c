"""Tests the numbers that the paper prints, its tables filled from runs, and its figures."""

import io
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from repository import ROOT
from toy_runs import cell_facts, cell_folder, predictions, write_cell, write_training
from toy_tables import HALF_RIGHT, TRUTH, cells, filled

from vrft_aug.errors import InputError
from vrft_aug.evaluation.report.paper.paper_figures import figure
from vrft_aug.evaluation.report.paper.paper_layout import footnotes, frame, layout
from vrft_aug.evaluation.report.paper.paper_numbers import AVERAGE, METHODS, read
from vrft_aug.evaluation.report.paper.paper_table import run_of
from vrft_aug.evaluation.runs import Facts, Training, find
from vrft_aug.experiments.cells import Cell

EXPERIMENTS = ROOT / "conf" / "experiment"


@pytest.mark.parametrize("name", ["table1", "table2", "table3", "fig3"])
def test_printed_numbers_agree_with_their_counts_and_averages(name: str):
    numbers = read(name)
    for (method, _, dataset), number in numbers.items():
        assert method in METHODS or method.startswith("zero_shot_")
        if number.k is not None:
            share = 100 * number.k / number.n
            assert number.accuracy == pytest.approx(share, abs=0.011), (method, dataset)
    for (method, shots, _), average in [item for item in numbers.items() if item[0][2] == AVERAGE]:
        row = [number.accuracy for key, number in numbers.items() if key[:2] == (method, shots) and key[2] != AVERAGE]
        misprinted = (name, method, shots) == ("table1", "v_rft_pa_p", 256)
        assert (fmean(row) == pytest.approx(average.accuracy, abs=0.011)) is not misprinted


def test_the_misprint_is_the_number_that_spoils_its_rows_average():
    row = {key[2]: number for key, number in read("table1").items() if key[:2] == ("v_rft_pa_p", 256)}
    assert "misprint of 71.87" in row["oct"].note
    values = [71.87 if name == "oct" else number.accuracy for name, number in row.items() if name != AVERAGE]
    assert fmean(values) == pytest.approx(row[AVERAGE].accuracy, abs=0.011)


def test_every_method_is_an_experiment():
    assert {path.stem for path in EXPERIMENTS.glob("*.yaml")} >= set(METHODS)


def test_our_numbers_are_above_the_papers(tmp_path: Path):
    rows = predictions(TRUTH, ["0"] * 400, data_source="retina")
    write_cell(tmp_path, "tiny", "retina", 256, "v_rft_pa_p", rows=rows)
    one = filled(tmp_path)
    assert layout(one).header == [
        "Method",
        "Images per class",
        "retina\nn 400; paper 400",
        "covid19\npaper 153",
        "average",
    ]
    lines = cells(one)
    assert lines["V-RFT + PA_P"] == [
        "256",
        "43.5 (38.7–48.4) †\npaper 43.50 †",  # the paper's is the constant answer too
        "no run\npaper 24.18",
        "43.5 (38.7–48.4)\nover 1 of 2 data sets\npaper 33.84",
    ]
    assert lines["0-shot, tiny"] == ["0", "no run\npaper 14.75", "no run\npaper 17.64", "no run\npaper 16.20"]


def test_a_cell_has_a_line_for_the_thoughts_where_findings_are_known(tmp_path: Path):
    rows = predictions(TRUTH, ["0"] * 400, data_source="retina").assign(thought_right=[1.0] * 100 + [0.0] * 300)
    write_cell(tmp_path, "tiny", "retina", 256, "v_rft_pa_p", rows=rows)
    one = filled(tmp_path)
    _, retina, covid19, average = cells(one)["V-RFT + PA_P"]
    assert retina == "43.5 (38.7–48.4) †\nthought 25.0\npaper 43.50 †"
    assert "thought" not in covid19 + average
    shares = frame(one).set_index(["experiment", "dataset"])["thought_accuracy"]
    assert shares["v_rft_pa_p", "retina"] == 0.25 and shares.notna().sum() == 1


def test_the_thoughts_of_several_seeds_are_averaged(tmp_path: Path):
    for seed, right in ((0, 100), (1, 200)):
        rows = predictions(TRUTH, HALF_RIGHT, data_source="retina")
        rows["thought_right"] = [1.0] * right + [0.0] * (400 - right)
        write_cell(tmp_path / str(seed), "tiny", "retina", 256, "v_rft_pa_p", rows=rows, seed=seed)
    retina = cells(filled(tmp_path, seeds=[0, 1]))["V-RFT + PA_P"][1]
    assert retina.splitlines()[1] == "thought 37.5"


def test_a_substitute_data_set_has_no_number_of_the_papers(tmp_path: Path):
    rows = predictions(TRUTH, HALF_RIGHT, data_source="phantom_grade")
    write_cell(tmp_path, "tiny", "phantom_grade", 256, "zero_shot", rows=rows)
    one = filled(tmp_path, datasets=["retina", "phantom_grade"])
    _, retina, phantom, average = cells(one)["0-shot, tiny"]
    assert retina == "no run\npaper 14.75"
    assert phantom.startswith("58.") and phantom.endswith("\npaper –")
    assert average.endswith("over 1 of 2 data sets\npaper –")


def test_a_row_without_a_data_set_has_a_dash_and_no_missing_run(tmp_path: Path):
    rows = predictions(TRUTH, HALF_RIGHT, data_source="retina")
    write_cell(tmp_path, "tiny", "retina", 256, "v_rft", rows=rows)
    spec = [{"experiment": "v_rft"}, {"experiment": "v_sft", "datasets": ["covid19"]}]
    lines = cells(filled(tmp_path, name="mine", rows=spec))
    assert lines["V-RFT"][1].startswith("58.") and lines["V-RFT"][2] == "no run"
    assert lines["V-SFT"][1:3] == ["–", "no run"]


def test_a_users_own_table_has_no_number_of_the_papers(tmp_path: Path):
    rows = predictions(TRUTH, HALF_RIGHT, data_source="retina")
    write_cell(tmp_path, "tiny", "retina", 256, "zero_shot", rows=rows)
    assert all(entry.printed is None for entry in filled(tmp_path, name="mine").entries)


def test_the_average_of_a_complete_row_has_the_interval_of_independent_sets(tmp_path: Path):
    for dataset in ("retina", "covid19"):
        rows = predictions(TRUTH, HALF_RIGHT, data_source=dataset)
        write_cell(tmp_path, "tiny", dataset, 256, "zero_shot", rows=rows)
    row = filled(tmp_path).rows[0]
    single = row.entries[0].own.metrics["accuracy"]
    average = row.average()
    assert average["value"] == pytest.approx(single["value"])
    width, one_width = average["high"] - average["low"], single["high"] - single["low"]
    assert width == pytest.approx(one_width / np.sqrt(2))


def test_the_larger_policy_is_compared_with_the_papers_7b(tmp_path: Path):
    rows = [{"experiment": "zero_shot"}, {"experiment": "zero_shot", "policy": "larger"}]
    write_cell(tmp_path, "big", "retina", 256, "zero_shot", rows=predictions(TRUTH, TRUTH, data_source="retina"))
    lines = cells(filled(tmp_path, rows=rows, larger_policy="big"))
    assert lines["0-shot, tiny"][1] == "no run\npaper 14.75"
    assert lines["0-shot, big"][1] == "100.0 (99.0–100.0)\npaper 21.00 ‡"
    assert list(cells(filled(tmp_path, rows=rows))) == ["0-shot, tiny"]


def test_rows_are_in_the_papers_order_and_the_misprint_is_footnoted(tmp_path: Path):
    write_cell(tmp_path, "tiny", "oct", 10, "v_rft_pa_p", rows=predictions(TRUTH, TRUTH, data_source="oct"))
    rows = [{"experiment": "v_rft_pa_p", "shots": None}, {"experiment": "zero_shot", "shots": 256}]
    one = filled(tmp_path, name="table1", rows=rows, shots=[10, 256], datasets=["oct", "derma"])
    assert [row[:2] for row in layout(one).rows] == [
        ["0-shot, tiny", "0"], ["V-RFT + PA_P", "10"], ["V-RFT + PA_P", "256"]
    ]  # fmt: skip
    assert layout(one).rows[2][2] == "no run\npaper 73.43 [c]"
    notes = [("a", "n or class sh"), ("b", "no k/n gives "), ("c", "misprint of 7")]
    assert [(letter, note[:13]) for note, letter in footnotes(one).items()] == notes


def test_runs_of_another_policy_number_of_images_or_objective_fill_no_cell(tmp_path: Path):
    rows = predictions(TRUTH, TRUTH, data_source="retina")
    write_cell(tmp_path, "other", "retina", 256, "v_rft_pa_p", rows=rows)
    write_cell(tmp_path, "tiny", "retina", 10, "v_rft_pa_p", rows=rows)
    write_cell(tmp_path, "tiny", "retina", 256, "v_rft_pa_p", "mfrs", rows=rows)
    assert not any(entry.own for entry in filled(tmp_path, objectives={"v_rft_pa_p": "accuracy"}).entries)
    overridden = [{"experiment": "v_rft_pa_p", "objectives": {"retina": "mfrs"}}]
    found = filled(tmp_path, rows=overridden, objectives={"v_rft_pa_p": "accuracy"})
    assert [bool(entry.own) for entry in found.entries] == [True, False]
    assert "retina: objective=mfrs in V-RFT + PA_P" in found.notes


def test_of_two_runs_the_run_in_the_cells_folder_counts_with_a_note(tmp_path: Path):
    rows, wrong = (predictions(TRUTH, answers, data_source="retina") for answers in (TRUTH, ["1"] * 400))
    write_cell(tmp_path / "runs", "tiny", "retina", 256, "v_rft_pa_p", rows=rows)
    write_cell(tmp_path / "runs" / "z" / "again", "tiny", "retina", 256, "zero_shot", rows=wrong)
    facts = cell_facts("tiny", "retina", 256, "v_rft_pa_p")
    other = cell_folder(tmp_path / "runs" / "z", "tiny", "retina", 256, "tried_twice")
    write_cell(other, "x", "y", 1, "z", rows=wrong, **facts)
    one = filled(tmp_path / "runs")
    assert cells(one)["V-RFT + PA_P"][1].startswith("100.0")
    assert any("2 runs fit" in note for note in one.notes)


def test_a_second_training_inside_another_cell_fills_none():
    facts = Facts(experiment="v_rft", dataset="blood", shots=256, policy_name="tiny")
    cell = Cell("v_rft", "blood", 256, "tiny")
    folder = Path("runs/tiny/blood-256/v_rft_pa_pi_v_rft")
    first, second, third = (Training(folder / stage, stage, pd.DataFrame(), facts)
                            for stage in ("train", "fine_tune", "fine_tune_2"))  # fmt: skip
    assert run_of(cell, [first, second, third], "train", None) is first
    assert run_of(cell, [second, third], "train", None) is None


def test_another_protocol_gets_a_note(tmp_path: Path):
    rows = predictions(TRUTH, TRUTH, data_source="retina")
    write_cell(tmp_path, "tiny", "retina", 256, "zero_shot", rows=rows, protocol="full")
    assert any("protocol=full, not paper" in note for note in filled(tmp_path).notes)


def test_csv_has_one_row_per_cell_and_average(tmp_path: Path):
    rows = predictions(TRUTH, ["0"] * 400, data_source="retina")
    write_cell(tmp_path, "tiny", "retina", 256, "v_rft_pa_p", rows=rows)
    lines = frame(filled(tmp_path)).set_index(["experiment", "dataset"])
    assert len(lines) == 9
    cell = lines.loc["v_rft_pa_p", "retina"]
    assert (cell["accuracy"], cell["constant"], cell["n"], cell["marks"]) == (0.435, 0.435, 400, "†")
    assert (cell["paper"], cell["paper_k"], cell["paper_n"]) == (0.435, 174, 400)
    assert cell["paper_low"] < 0.435 < cell["paper_high"]
    assert lines.loc["v_rft_pa_p", "average"]["data_sets"] == 1


def test_a_malformed_row_is_refused(tmp_path: Path):
    write_cell(tmp_path, "tiny", "retina", 256, "v_rft", rows=predictions(TRUTH, TRUTH, data_source="retina"))
    with pytest.raises(InputError, match="no key shot"):
        filled(tmp_path, rows=[{"experiment": "v_rft", "shot": 10}])


def test_figure_2_draws_accuracy_and_reward(tmp_path: Path):
    rows = [{"experiment": "v_rft"}, {"experiment": "v_rft_pa_p"}]
    for experiment, rise in (("v_rft", 0.1), ("v_rft_pa_p", 0.5)):
        facts = cell_facts("tiny", "blood", 256, experiment)
        write_training(cell_folder(tmp_path, "tiny", "blood", 256, experiment) / "train", 30, rise, **facts)
    trainings = find([tmp_path]).trainings
    two, four = (filled(tmp_path, name=name, datasets=["blood"], rows=rows) for name in ("fig2", "fig4"))
    png, accuracy_alone = figure(two, trainings, {}), figure(four, trainings, {})
    assert png == figure(two, trainings, {}) and figure(two, [], {}) is None
    ink = np.asarray(Image.open(io.BytesIO(png)).convert("L")) < 128
    half = ink.shape[0] // 2
    assert ink[:half].sum() > 500 and ink[half:].sum() > 500
    assert Image.open(io.BytesIO(png)).size[1] == 2 * Image.open(io.BytesIO(accuracy_alone)).size[1]


def test_figure_3_draws_the_runs_found(tmp_path: Path):
    for shots, answers in ((10, ["0"] * 400), (256, TRUTH)):
        rows = predictions(TRUTH, answers, data_source="ham10000")
        write_cell(tmp_path, "tiny", "ham10000", shots, "v_rft", rows=rows)
    rows = [{"experiment": "zero_shot", "shots": 256}, {"experiment": "v_rft", "shots": None}]
    changes = {"rows": rows, "shots": [10, 256], "datasets": ["ham10000", "heel"]}
    one = filled(tmp_path, name="fig3", **changes)
    assert cells(one)["0-shot, tiny"][1].endswith("paper 20.62 [a]")
    png = figure(one, [], {})
    assert png == figure(one, [], {})
    ink = np.asarray(Image.open(io.BytesIO(png)).convert("L")) < 128
    height, width = ink.shape
    assert ink[: height // 2, : width // 2].sum() > 2 * ink[: height // 2, width // 2 :].sum()  # heel has no bar
    assert figure(filled(tmp_path, name="table3", **changes), [], {}) is None


def test_figure_4_draws_validation_accuracy(tmp_path: Path):
    rows = [{"experiment": "v_rft_pa_p"}, {"experiment": "v_rft_pa_p_recite_neg"}]
    for experiment, rise in (("v_rft_pa_p", 0.1), ("v_rft_pa_p_recite_neg", 0.5)):
        facts = cell_facts("tiny", "blood", 256, experiment)
        write_training(cell_folder(tmp_path, "tiny", "blood", 256, experiment) / "train", 20, rise, **facts)
    trainings = find([tmp_path]).trainings
    one = filled(tmp_path, name="fig4", datasets=["blood"], rows=rows)
    both, first = (figure(one, some, {}) for some in (trainings, trainings[:1]))
    assert Image.open(io.BytesIO(both)).size == Image.open(io.BytesIO(first)).size
    assert both != first and both == figure(one, trainings, {})
    assert figure(one, [], {}) is None
