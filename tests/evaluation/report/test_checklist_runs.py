"""Which run a sheet of reporting items is about: its trainings, its seeds, and the folders that are refused."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from repository import composed
from toy_checklists import ANSWERS, CELL, TRUTH, checked_cell, record, tables
from toy_runs import cell_folder, predictions, write_cell, write_evaluation, write_training

from vrft_aug.errors import InputError
from vrft_aug.evaluation.report.checklist.checklist_sheet import NAME, write_sheet


def test_trainings_are_found_by_their_policy_or_in_the_cell(tmp_path: Path):
    """Also behind one another; where a training has gone, the sheet does not call the policy untrained."""
    first = record(write_training(tmp_path / "first", 20), recipe="sft", policy="org/model", steps=8)
    OmegaConf.save({"policy": {"path": "org/model", "name": "big"}}, first / "config.yaml")
    (first / "policy").mkdir()
    folder = checked_cell(tmp_path)
    record(folder / "train", policy=str(first / "policy"))
    claim, _ = tables(folder)
    done = "supervised fine-tuning, then reinforcement fine-tuning (GRPO)"
    assert claim["24 24"][3] == f"the weights of org/model (policy=big); {done}"
    moved = folder.rename(tmp_path / "moved")
    assert "reinforcement fine-tuning (GRPO): steps 20" in tables(moved)[0]["25 25"][3]
    (moved / "train").rename(tmp_path / "elsewhere")
    assert tables(moved)[0]["25 25"][2] == "author" and "zero-shot" not in (moved / NAME).read_text()


def test_the_seeds_of_a_table_are_listed(tmp_path: Path):
    for seed in (0, 1):
        write_cell(tmp_path, *CELL, rows=predictions(TRUTH, ANSWERS), seed=seed)
    folder = cell_folder(tmp_path, *CELL, seed=0)
    assert re.search(r"seed 0: 100 test images; .*; seed 1: 100 test images", tables(folder)[0]["29 29"][3])


def broken(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder


def test_refusals(tmp_path: Path):
    good = [write_evaluation(tmp_path / str(number), "run", predictions(TRUTH, ANSWERS)) for number in range(8)]
    (good[0] / "metrics.json").unlink()
    (tmp_path / "empty").mkdir()
    (good[4] / NAME).mkdir()
    cases = {
        tmp_path / "nowhere": "no such folder",
        tmp_path / "empty": "neither run.json nor test/run.json is there; name the out= of evaluate.py",
        good[0]: "run.json but no metrics.json",
        broken(good[1], "metrics.json", "{}"): "has no metrics of a data set",
        broken(good[2], "run.json", "[1]"): "must hold a JSON object",
        broken(good[3], "metrics.json", "{"): "is not JSON",
        good[4]: "cannot be written",
        write_training(tmp_path / "grpo", 10): "a run of grpo, not an evaluation",
        record(good[5], shuffled_images=True): "with (shuffled); name the folder above",
        record(good[6], beside="blur_1"): "with (blur_1); name the folder above",
        record(good[7], state="failed"): "this evaluation is failed",
    }
    for folder, reason in cases.items():
        with pytest.raises(InputError, match=re.escape(reason)):
            write_sheet(folder)
        assert not (folder / NAME).is_file()


@pytest.mark.parametrize("recipe", ["grpo", "sft"])
def test_the_settings_that_a_training_is_described_by_exist(tmp_path: Path, recipe: str):
    pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
    folder = checked_cell(tmp_path)
    OmegaConf.save(composed(recipe), folder / "train" / "config.yaml")
    record(folder / "train", recipe=recipe)
    shown = tables(folder)[0]["25 25"][3]
    wanted = ["batch 16", "learning rate 0.", "seed 0", "LoRA rank 0", "number format float32"]
    wanted += ["responses per prompt 8", "temperature 0.9", "KL coefficient 0.04"] if recipe == "grpo" else []
    assert [part for part in wanted if part not in shown] == []
