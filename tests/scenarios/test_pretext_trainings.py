"""Trains on each pretext for two steps on the real stack: all images, no label, its own reward, then a diagnosis."""

import json
from pathlib import Path

import pandas as pd
import pytest
from test_experiments import experiments

from vrft_aug.data.pretext import PRETEXTS
from vrft_aug.engine.run.metrics_file import read_steps

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytestmark = pytest.mark.slow

LABELS = {"train": 8, "val": 8}  # two shots of four classes
NONE = {"train": 0, "val": 0}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A function from an experiment to the folder of its cell. One folder for all: they share rows and trainings."""
    out = tmp_path_factory.mktemp("pretexts")

    def run(name: str) -> Path:
        done = experiments(out, f"table.rows=[{{experiment: {name}}}]", "table.shots=[2]")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return out / "tiny" / "phantom-2" / name

    return run


def record(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def check_taught(folder: Path, *pretexts: str) -> None:
    """Both steps drew answers that a reward told apart, and each pretext was validated by itself."""
    steps = read_steps(folder / "metrics.jsonl")
    for step in (1, 2):
        assert steps[step]["actor/grad_norm"] > 0
    for name in pretexts:
        task = PRETEXTS[name].task
        assert any(steps[step].get(f"reward/{task}/equal_groups", 1) < 1 for step in (1, 2))
        assert 0 <= steps[2][f"val-core/phantom-{name}/acc/mean@1"] <= 1


@pytest.mark.parametrize(("experiment", "pretexts"), [
    ("v_rft_pretext", ["restore"]), ("v_rft_find_sharp", ["find_sharp"]), ("v_rft_rotation", ["rotation"]),
    ("v_rft_jigsaw", ["jigsaw"]), ("v_rft_pretexts", ["restore", "find_sharp"]),
])  # fmt: skip
def test_a_pretext_trains_on_every_image_without_a_label_and_is_followed_by_a_diagnosis(ran, experiment, pretexts):
    cell = ran(experiment)
    trained, tested = record(cell / "train"), record(cell / "test")
    assert trained["labels"] == tested["labels"] == NONE and trained["pretext"] == pretexts[0]
    rows = json.loads((cell.parent / "rows" / pretexts[0] / "manifest.json").read_text())["splits"]
    assert (rows["train"]["rows"], rows["val"]["rows"]) == (64, 32)
    check_taught(cell / "train", *pretexts)
    assert set(pd.read_parquet(cell / "test" / "predictions.parquet")["data_source"]) == {"phantom"}


def test_a_pipeline_of_three_trainings_ends_with_the_labels_of_the_last(ran):
    cell = ran("v_rft_pretexts_v_rft")
    check_taught(cell / "fine_tune", "find_sharp")
    trainings = json.loads((cell / "fine_tune_2" / "policy" / "vrft_aug.json").read_text())["trainings"]
    assert [(one["pretext"], one["labels"]) for one in trainings] == [
        ("restore", NONE), ("find_sharp", NONE), (None, LABELS)]  # fmt: skip
    assert record(cell / "test")["labels"] == LABELS
