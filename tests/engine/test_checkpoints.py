"""Which checkpoints are kept, and which one is the best on the validation rows."""

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from vrft_aug.engine.checkpoints import TRACKER, Checkpoints, Criterion
from vrft_aug.errors import InputError

ACCURACY = Criterion("validation accuracy", "val-core/*/acc/mean@*", max)
LOSS = Criterion("validation loss", "val/loss", min)


def save(folder: Path, *steps: int, layout: str = "actor") -> None:
    """What verl leaves: a folder a step, and the newest step's number."""
    for step in steps:
        shards = folder / f"global_step_{step}" / layout
        shards.mkdir(parents=True)
        (shards / "fsdp_config.json").write_text('{"FSDP_version": 2, "world_size": 1}')
    (folder / TRACKER).write_text(str(max(steps)))


def log(folder: Path, key: str, values: dict[int, float | None]) -> Path:
    file = folder / "metrics.jsonl"
    lines = [json.dumps({"step": step, "data": {key: value, "critic/score/mean": 1}}) for step, value in values.items()]
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def accuracies(folder: Path, values: dict[int, float], limit: int | None = None, criterion=ACCURACY) -> Checkpoints:
    return Checkpoints(folder, log(folder, "val-core/toy/acc/mean@1", values), criterion, limit)


def test_the_best_validated_and_saved_step_is_chosen(tmp_path):
    save(tmp_path, 10, 20, 30)
    values = {0: 0.9, 10: 0.5, 15: 0.8, 20: 0.7, 30: 0.6}  # 0 and 15 were validated but not saved
    assert accuracies(tmp_path, values).chosen() == (20, 0.7)


def test_of_equals_the_later_and_of_losses_the_lowest(tmp_path):
    save(tmp_path, 10, 20, 30, layout=".")
    assert accuracies(tmp_path, {10: 0.5, 20: 0.5, 30: 0.4}).chosen() == (20, 0.5)
    losses = log(tmp_path, "val/loss", {10: 0.3, 20: 0.2, 30: 0.4})
    assert Checkpoints(tmp_path, losses, LOSS, None).chosen() == (20, 0.2)


def test_several_data_sources_count_by_their_mean(tmp_path):
    save(tmp_path, 1, 2)
    data = {1: {"a": 1.0, "b": 0.0}, 2: {"a": 0.6, "b": 0.6}}
    lines = [{"step": step, "data": {f"val-core/{source}/acc/mean@1": value for source, value in values.items()}}
             for step, values in data.items()]  # fmt: skip
    lines[0]["data"]["val-aux/a/score/mean@1"] = 1.0
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert Checkpoints(tmp_path, tmp_path / "metrics.jsonl", ACCURACY, None).chosen() == (2, 0.6)


def test_without_a_validated_step_or_by_choice_the_last(tmp_path):
    save(tmp_path, 10, 20)
    assert accuracies(tmp_path, {5: 0.9}).chosen() == (20, None)
    assert accuracies(tmp_path, {10: 0.9, 20: 0.1}, criterion=None).chosen() == (20, None)
    no_batch = log(tmp_path, "val/loss", {10: None, 20: None})  # verl's mean over no batch, NaN
    assert Checkpoints(tmp_path, no_batch, LOSS, None).chosen() == (20, None)


def test_the_newest_and_the_best_stay_within_the_limit(tmp_path):
    values, kept = {10: 0.5, 20: 0.8, 30: 0.6, 40: 0.7}, []
    for step in values:
        save(tmp_path, step)
        checkpoints = accuracies(tmp_path, {done: value for done, value in values.items() if done <= step}, limit=2)
        checkpoints.prune()
        kept.append(checkpoints.saved())
    assert kept == [[10], [10, 20], [20, 30], [20, 40]]
    assert (checkpoints.newest(), checkpoints.chosen()[0]) == (40, 20)
    assert {path.name for path in tmp_path.iterdir()} == {"global_step_20", "global_step_40", TRACKER, "metrics.jsonl"}


def test_what_is_still_being_written_is_neither_taken_nor_deleted(tmp_path):
    save(tmp_path, 1, 2, 3)
    (tmp_path / TRACKER).write_text("2")
    (tmp_path / "global_step_1" / "actor" / "fsdp_config.json").unlink()
    checkpoints = accuracies(tmp_path, {1: 0.9, 2: 0.1, 3: 0.9}, limit=1)
    checkpoints.prune()
    assert (checkpoints.newest(), checkpoints.saved(), checkpoints.chosen()) == (2, [2], (2, 0.1))
    assert checkpoints.path(3).is_dir()


def test_nothing_saved_yet(tmp_path):
    checkpoints = Checkpoints(tmp_path / "absent", tmp_path / "metrics.jsonl", ACCURACY, 2)
    checkpoints.prune()
    assert (checkpoints.newest(), checkpoints.saved()) == (0, [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": "first"}, "keep=first: best"),
        ({"trainer.max_ckpt_to_keep": 1}, "max_ckpt_to_keep=1: keep=best needs 2 or more"),
        ({"trainer.max_ckpt_to_keep": 0, "keep": "last"}, "max_ckpt_to_keep=0: keep=last needs 1 or more"),
        ({"trainer.save_freq": -1}, "save_freq=-1: 1 or more"),
    ],
)
def test_settings_that_would_leave_no_policy_are_refused(tmp_path, change: dict, message: str):
    trainer = {"default_local_dir": str(tmp_path), "max_ckpt_to_keep": 2, "save_freq": 5}
    config = OmegaConf.create({"out": str(tmp_path), "keep": "best", "trainer": trainer})
    Checkpoints.of_config(config, "trainer.max_ckpt_to_keep", LOSS)
    for key, value in change.items():
        OmegaConf.update(config, key, value)
    with pytest.raises(InputError, match=message):
        Checkpoints.of_config(config, "trainer.max_ckpt_to_keep", LOSS)
