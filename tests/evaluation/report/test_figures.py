"""Tests the training curves."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from toy_runs import write_training

from vrft_aug.evaluation.report.curves import curve
from vrft_aug.evaluation.report.panels import by_dataset, curve_data, panels
from vrft_aug.evaluation.runs import Training, find
from vrft_aug.rewards.diagnostics import MEANING


@pytest.fixture
def trainings(tmp_path: Path) -> list[Training]:
    for name, steps in (("grpo", 40), ("mfrs", 30)):
        write_training(tmp_path / name, steps)
    return find([tmp_path])[1]


def test_the_panels_are_what_a_reader_needs(trainings: list[Training]):
    assert list(panels(trainings).values()) == [
        "Training reward",
        "Rollouts: mfrs, grading",
        "Rollouts: format, grading",
        "Validation accuracy: toy",
        "Response length",
        "KL to the reference policy",
    ]


def test_what_is_shown_elsewhere_or_says_nothing_has_no_panel(tmp_path: Path):
    names = ("accuracy", "acc", "scoring_seconds", "accuracy_spread", "format_spread", "nil_decides", "equal_groups")
    write_training(tmp_path / "grpo", 2, signs={name: [0.5, 0.5] for name in names})
    shown = [title for title in panels(find([tmp_path]).trainings).values() if title.startswith("Rollouts")]
    assert sorted(shown) == sorted(
        f"Rollouts: {name}, grading" for name in ("mfrs", "format", "accuracy", "nil_decides", "equal_groups")
    )


def test_acc_has_a_panel_where_there_is_no_accuracy(tmp_path: Path):
    write_training(tmp_path / "grpo", 2, signs={"acc": [0.5, 0.5]})
    assert "Rollouts: acc, grading" in panels(find([tmp_path]).trainings).values()


def test_thoughts_have_a_panel_in_training_and_validation(trainings: list[Training]):
    names = ("reward/grading/thought_right", "val-aux/toy/thought_right/mean@1", "val-aux/toy/thought_right/std@2")
    steps = trainings[0].steps.assign(**dict.fromkeys(names, 0.5))
    shown = panels([Training(trainings[0].folder, "grpo", steps)])
    assert [shown.get(name) for name in names] == ["Rollouts: thought_right, grading", "Validation thought: toy", None]


def test_every_panel_has_ink_and_the_bytes_are_reproducible(trainings: list[Training]):
    png = curve(trainings)
    assert png == curve(trainings)
    grey = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    height, width = grey.shape
    assert width > 1500
    panels_of_ink = grey[: height // 2 * 2, : width // 3 * 3].reshape(2, height // 2, 3, width // 3)
    assert ((panels_of_ink < 128).sum(axis=(1, 3)) > 500).all()


def test_a_place_without_a_panel_is_empty(trainings: list[Training]):
    four = trainings[0].steps.iloc[:, :4]
    grey = np.asarray(Image.open(io.BytesIO(curve([Training(trainings[0].folder, "grpo", four)]))).convert("L"))
    height, width = grey.shape
    assert (grey[int(0.55 * height) : int(0.9 * height), : width // 3] < 128).any()  # the fourth panel, below the first
    assert (grey[int(0.55 * height) : int(0.9 * height), width // 2 :] == 255).all()


def test_curve_shows_the_runs_values(trainings: list[Training]):
    flat = Training(trainings[0].folder, "grpo", trainings[0].steps.assign(**{"critic/score/mean": 0.5}))
    assert curve(trainings[:1]) != curve([flat])


def test_nothing_plottable_gives_no_picture(tmp_path: Path):
    assert curve([]) is None
    assert curve([Training(tmp_path, "x", pd.DataFrame({"perf/mfu/actor": [0.1]}, index=[1]))]) is None


def test_the_pages_curves_are_the_logged_values(tmp_path: Path):
    write_training(tmp_path / "grpo", 20, signs={"top_prediction": [0.5] * 19 + [1 / 3]})
    found = {one["title"]: one for one in curve_data(find([tmp_path]).trainings)}
    sign = found["Rollouts: top_prediction, grading"]
    assert (sign["bounds"], sign["meaning"]) == ((None, 0.9), MEANING["top_prediction"])
    assert found["Training reward"]["meaning"] == ""
    (line,) = sign["lines"]
    assert (line["name"], line["steps"], line["values"][-1]) == ("grpo", list(range(1, 21)), 0.333333)
    assert found["Validation accuracy: toy"]["lines"][0]["steps"] == [0, 10, 20]
    assert found["Training reward"]["bounds"] == (None, None)


def test_a_bound_is_drawn_if_the_values_are_near_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn = {}
    for name, values in (("near", [0.5, 0.95]), ("far", [0.5, 0.45])):
        write_training(tmp_path / name, 2, signs={"top_prediction": values})
        drawn[name] = curve(find([tmp_path / name]).trainings)
    monkeypatch.setattr("vrft_aug.evaluation.report.curves.Axes.axhline", lambda *_, **__: None)
    assert curve(find([tmp_path / "far"]).trainings) == drawn["far"]
    assert curve(find([tmp_path / "near"]).trainings) != drawn["near"]


def test_lines_of_two_data_sets_do_not_share_a_panel(tmp_path: Path):
    for dataset in ("retina", "blood"):
        write_training(tmp_path / dataset, 2, dataset=dataset)
    groups = by_dataset(find([tmp_path]).trainings)
    assert {name: [one.name for one in group] for name, group in groups.items()} == {
        "blood": ["blood"],
        "retina": ["retina"],
    }
