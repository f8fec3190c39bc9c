"""Which checkpoints are kept, and which one is the best on the validation rows."""

import json
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from vrft_aug.engine.training.checkpoints import TRACKER, Checkpoints, Criterion
from vrft_aug.errors import InputError

ACCURACY = Criterion("validation accuracy", "val-core/*/acc/mean@*", max)
LOSS = Criterion("validation loss", "val/loss", min)


def save(folder: Path, *steps: int, layout: str = "actor") -> None:
    """What verl leaves: one folder per step, and the number of the newest step."""
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


def write_tensors(folder: Path, *steps: int) -> None:
    torch = pytest.importorskip("torch", reason="the training stack is not installed (make setup)")
    for step in steps:
        for part in ("model", "optim"):
            torch.save({"w": torch.arange(999.0)}, folder / f"global_step_{step}/actor/{part}_world_size_1_rank_0.pt")
        torch.save({"position": step}, folder / f"global_step_{step}/data.pt")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
@pytest.mark.parametrize(
    "file", ["actor/model_world_size_1_rank_0.pt", "actor/optim_world_size_1_rank_0.pt", "data.pt"]
)
def test_a_damaged_checkpoint_is_moved_away(tmp_path, damage, file):
    save(tmp_path, 1, 2)
    write_tensors(tmp_path, 1, 2)
    checkpoints, told = accuracies(tmp_path, {1: 0.5, 2: 0.5}), []
    assert checkpoints.newest_whole(told.append) == 2 and told == []
    damage(tmp_path / "global_step_2" / file)
    if damage is Path.unlink and "model" not in file:  # verl writes what `save_contents` names
        assert checkpoints.newest_whole(told.append) == 2 and told == []
        return
    assert checkpoints.newest_whole(told.append) == checkpoints.newest() == 1
    name = Path(file).name
    assert len(told) == 1 and name in told[0]
    assert "checkpoint of step 2 is not whole" in told[0] and "resuming from step 1" in told[0]
    assert (tmp_path / ".damaged_2").is_dir() and checkpoints.saved() == [1]


def test_a_truncated_description_of_the_shards_is_damage(tmp_path):
    save(tmp_path, 1, 2)
    write_tensors(tmp_path, 1, 2)
    (tmp_path / "global_step_2/actor/fsdp_config.json").write_text('{"FSDP_ver')
    told: list[str] = []
    assert accuracies(tmp_path, {1: 0.5}).newest_whole(told.append) == 1 and "fsdp_config.json is damaged" in told[0]


def test_a_checkpoint_without_metrics_gives_way_to_one_with(tmp_path):
    """The run was killed between checkpoint and metrics; its curve would lack the step."""
    save(tmp_path, 1, 2, 3)
    write_tensors(tmp_path, 1, 2, 3)
    checkpoints, told = accuracies(tmp_path, {1: 0.5, 2: 0.4}, limit=2), []
    checkpoints.prune()
    assert checkpoints.saved() == [1, 2, 3]
    assert checkpoints.newest_whole(told.append) == checkpoints.newest() == 2
    assert told == ["the checkpoint of step 3 was saved, but the run was killed before its metrics were written; "
                    "resuming from step 2"]  # fmt: skip
    assert accuracies(tmp_path, {}).newest_whole(told.append) == 0


def test_with_no_whole_checkpoint_left_it_begins_anew(tmp_path):
    save(tmp_path, 1, 2)
    write_tensors(tmp_path, 1)
    cut(tmp_path / "global_step_1" / "data.pt")
    shutil.rmtree(tmp_path / "global_step_2")
    told: list[str] = []
    assert accuracies(tmp_path, {}).newest_whole(told.append) == 0
    assert ["step 2 is not whole" in told[0], "resuming from step 1" in told[0], "step 0" in told[1]] == [True] * 3


@pytest.mark.parametrize(
    ("limit", "saved", "steps", "frequency", "number"),
    [
        (2, [], range(1, 101), 20, 3),
        (2, [20, 40], range(41, 101), 20, 1),
        (None, [], range(1, 101), 20, 3),
        (4, [], range(1, 101), 1, 5),
        (2, [], range(1, 17), 20, 1),  # the last step alone
        (2, [], range(1, 26), 20, 2),
        (2, [], range(1, 101), "after_each_epoch", 3),
    ],
)
def test_how_many_checkpoints_must_fit_on_the_disk(tmp_path, limit, saved, steps, frequency, number):
    if saved:
        save(tmp_path, *saved)
    checkpoints = Checkpoints(tmp_path, tmp_path / "metrics.jsonl", None, limit)
    assert checkpoints.to_come(steps, frequency) == number


def test_nothing_saved_yet(tmp_path):
    checkpoints = Checkpoints(tmp_path / "absent", tmp_path / "metrics.jsonl", ACCURACY, 2)
    checkpoints.prune()
    assert (checkpoints.newest(), checkpoints.saved()) == (0, [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": "first"}, "keep=first: must be best"),
        ({"trainer.max_ckpt_to_keep": 1}, "max_ckpt_to_keep=1: keep=best needs 2 or more"),
        ({"trainer.max_ckpt_to_keep": 0, "keep": "last"}, "max_ckpt_to_keep=0: keep=last needs 1 or more"),
        ({"trainer.save_freq": -1}, "save_freq=-1: 1 or more"),
        ({"trainer.logger": ["wandb"]}, "keep file in the list"),
    ],
)
def test_settings_that_would_leave_no_policy_are_refused(tmp_path, change: dict, message: str):
    trainer = {"default_local_dir": str(tmp_path), "max_ckpt_to_keep": 2, "save_freq": 5, "logger": ["file"]}
    config = OmegaConf.create({"out": str(tmp_path), "keep": "best", "trainer": trainer})
    Checkpoints.of_config(config, "trainer.max_ckpt_to_keep", LOSS)
    for key, value in change.items():
        OmegaConf.update(config, key, value)
    with pytest.raises(InputError, match=message):
        Checkpoints.of_config(config, "trainer.max_ckpt_to_keep", LOSS)
