"""Tests a table with several seeds: mean and spread, marks, notes, Δ, CSV, curves; one seed changes nothing."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from toy_runs import cell_facts, cell_folder, predictions, write_cell, write_training
from toy_tables import HALF_RIGHT, TRUTH, cells, filled

from vrft_aug.evaluation.report.paper.paper_layout import frame, layout
from vrft_aug.evaluation.report.paper.while_training import ACCURACY
from vrft_aug.evaluation.runs import find

ROWS = [{"experiment": "zero_shot"}, {"experiment": "v_rft"}, {"experiment": "v_rft_pa_p"}]
SEEDS = {"seeds": [0, 1, 2], "rows": ROWS, "datasets": ["retina"]}
UNTRAINED = [("zero_shot", "tiny")]


def write(root: Path, experiment: str, answers: list[str], **run) -> None:
    write_cell(root, "tiny", "retina", 256, experiment, rows=predictions(TRUTH, answers, data_source="retina"), **run)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write(tmp_path, "zero_shot", ["1"] * 400, seed=0)
    for seed, wrong in enumerate((40, 80, 120)):
        write(tmp_path, "v_rft", ["0"] * 400, seed=seed)
        write(tmp_path, "v_rft_pa_p", [*TRUTH[:-wrong], *["no"] * wrong], seed=seed)
    return tmp_path


def test_a_cell_has_mean_spread_and_an_interval_over_seeds_and_images(runs: Path):
    lines = cells(filled(runs, untrained=UNTRAINED, **SEEDS))
    own = lines["V-RFT + PA_P"][1].splitlines()[0]
    assert own.startswith("80.0 ± 10.0 (") and own.endswith(") ¶")  # two seeds have too many answers that are no class
    low, high = (float(part) for part in own.partition("(")[2].rstrip(") ¶").split("–"))
    assert low < 71 and high > 88  # Wilson's interval of 80 % is 75.8 to 83.6: it knows nothing of the seeds
    assert lines["V-RFT"][1].startswith("43.5 ± 0.0 (") and lines["V-RFT"][1].splitlines()[0].endswith("†")
    assert lines["V-RFT + PA_P"][2].startswith("80.0 ± 10.0 (")  # the average over one data set


def test_one_run_of_an_untrained_policy_counts_for_every_seed(runs: Path):
    one = filled(runs, untrained=UNTRAINED, **SEEDS)
    zero = cells(one)["0-shot, tiny"][1]
    assert zero.startswith("11.5 (") and "±" not in zero
    assert not any("seeds have a run" in note for note in one.notes)
    (note,) = [note for note in one.notes if "Seeds 0, 1, 2: mean ± standard deviation" in note]
    assert "3 seeds say little" in note
    other = filled(runs, **SEEDS)
    assert any("zero_shot: 1 of 3 seeds have a run" in note for note in other.notes)


def test_a_sampled_run_counts_for_its_own_seed(tmp_path: Path):
    write(tmp_path, "zero_shot", ["1"] * 400, seed=0, sampling={"temperature": 0.9, "n": 8})
    one = filled(tmp_path, untrained=UNTRAINED, **SEEDS)
    assert [run is None for run in one.rows[0].entries[0].runs] == [False, True, True]


def test_a_delta_is_of_the_means_with_a_p_over_seeds_and_images(runs: Path):
    (delta,) = [row for row in layout(filled(runs, untrained=UNTRAINED, **SEEDS)).rows if row[0].startswith("Δ")]
    assert delta[2].startswith("+36.5 (p < 0.001)")


def test_csv_has_the_deviation_and_the_number_of_seeds(runs: Path):
    lines = frame(filled(runs, untrained=UNTRAINED, **SEEDS)).set_index(["experiment", "dataset"])
    cell, zero = lines.loc["v_rft_pa_p", "retina"], lines.loc["zero_shot", "retina"]
    assert (cell["accuracy"], cell["deviation"], cell["seeds"]) == (pytest.approx(0.8), pytest.approx(0.1), 3)
    assert pd.isna(zero["deviation"]) and lines.loc["v_rft_pa_p", "average"]["deviation"] == pytest.approx(0.1)


def test_one_seed_shows_what_it_showed_before(tmp_path: Path):
    write(tmp_path, "v_rft", HALF_RIGHT)
    write(tmp_path, "v_rft_pa_p", TRUTH)
    change = {"rows": ROWS, "datasets": ["retina"]}
    none, one = (filled(tmp_path, seeds=seeds, **change) for seeds in (None, [5]))
    assert layout(none) == layout(one) and none.notes == one.notes
    assert "±" not in str(layout(one).rows) and "seeds" not in frame(one)
    assert not any("eeds" in note for note in one.notes)


def test_seeds_on_other_test_images_are_not_averaged(tmp_path: Path):
    write(tmp_path, "v_rft", TRUTH, seed=0)
    rows = predictions(TRUTH[1:], TRUTH[1:], data_source="retina")
    write_cell(tmp_path, "tiny", "retina", 256, "v_rft", rows=rows, seed=1)
    one = filled(tmp_path, **SEEDS | {"seeds": [0, 1]})
    assert "±" not in cells(one)["V-RFT"][1]
    assert any("only the first seed is shown: the runs are not of the same test images" in note for note in one.notes)


def test_a_curve_is_the_mean_over_seeds(tmp_path: Path):
    for seed, rise in enumerate((0.1, 0.5)):
        folder = cell_folder(tmp_path, "tiny", "blood", 256, "v_rft", seed) / "train"
        write_training(folder, 20, rise, seed=seed, **cell_facts("tiny", "blood", 256, "v_rft"))
    mean = ACCURACY.mean([*find([tmp_path]).trainings, None])
    assert list(mean) == pytest.approx([30, 45, 60]) and list(mean.index) == [0, 10, 20]


def test_figure_3_draws_the_mean(tmp_path: Path):
    from vrft_aug.evaluation.report.paper.paper_figures import figure

    for seed, answers in enumerate((["0"] * 400, TRUTH)):
        rows = predictions(TRUTH, answers, data_source="heel")
        write_cell(tmp_path, "tiny", "heel", 256, "v_rft", rows=rows, seed=seed)
    change = {"rows": [{"experiment": "v_rft"}], "datasets": ["heel"]}
    both, first = (figure(filled(tmp_path, name="fig3", seeds=seeds, **change), [], {}) for seeds in ([0, 1], [0]))
    pixels = [np.asarray(Image.open(io.BytesIO(png)).convert("L")) for png in (both, first)]
    assert pixels[0].shape == pixels[1].shape and (pixels[0] != pixels[1]).any()
