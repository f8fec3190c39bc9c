"""From the groups that are written of a step to the trackers: the rows' images, the order, and what a damage costs."""

import io
import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from PIL import Image

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

import datasets
from verl.trainer.ppo.v1 import PPOTrainerSync

from vrft_aug.engine.verl.row_images import RowImages
from vrft_aug.engine.verl.tracked_rollouts import TrackedRollouts
from vrft_aug.engine.verl.trainer import StoppableTrainer


def encoded(width: int) -> dict:
    buffer = io.BytesIO()
    Image.new("L", (width, 10), 100).save(buffer, "png")
    return {"bytes": buffer.getvalue(), "path": None}


def row(index: int, prompt: str, widths: list[int]) -> dict:
    info = {"index": index, "source_id": f"image-{index}", "prompt": prompt, "classes": ["A", "B"]}
    return {"images": [encoded(width) for width in widths], "extra_info": info}


ROWS = [row(4, "Which?", [20]), row(2, "Which?", [30]), row(4, "Where?", [40]), row(7, "Which?", [500, 20]),
        row(9, "Which?", [20]) | {"images": [{"bytes": b"no image", "path": None}]}]  # fmt: skip


def group(index: int, text: str = "Which?", split: str = "train") -> dict:
    return {"split": split, "index": index, "source_id": f"image-{index}", "text": text, "followed": split == "val",
            "truth": "A", "answers": []}  # fmt: skip


@pytest.fixture
def images() -> RowImages:
    text = datasets.Value("string")
    info = {"index": datasets.Value("int64"), "source_id": text, "prompt": text, "classes": [text]}
    features = datasets.Features({"images": [datasets.Image()], "extra_info": info})
    rows = datasets.Dataset.from_list(ROWS, features=features)
    return RowImages.of({"train": SimpleNamespace(dataframe=rows.select([1, 1, 0, 3])),  # balanced rows, without some
                         "val": SimpleNamespace(dataframe=rows)})  # fmt: skip


@pytest.mark.parametrize(("index", "text", "size"), [
    (4, "Which?", (20, 10)), (4, "Where?", (40, 10)), (2, "Which?", (30, 10)), (7, "Which?", (244, 10)),
])  # fmt: skip
def test_a_row_is_found_by_its_index_and_its_prompt(images, index, text, size):
    assert images.image(group(index, text)).size == size


def test_a_row_that_is_gone_is_named(images):
    with pytest.raises(LookupError, match=r"row 3 \(image-3\) of val"):
        images.image(group(3, split="val"))


class Recorder:
    """A tracker like W&B."""

    def __init__(self) -> None:
        self.logged: list[tuple] = []

    def Table(self, columns: list, data: list) -> list:
        return data

    Image = staticmethod(lambda image: image.size)

    def log(self, data: dict, step: int) -> None:
        self.logged += [(step, name) for name in data]


def test_the_parts_of_a_validation_are_sent_at_once_and_nothing_twice(images):
    tracked, tracker = TrackedRollouts(images), Recorder()
    with ThreadPoolExecutor(max_workers=1) as executor:
        for split, index in (("train", 4), ("val", 2), ("val", 7)):
            tracked.prepare(split, executor, executor.submit(lambda *names: [group(*names)], index, "Which?", split))
        assert [len(groups.result()) for _, groups in tracked.ready] == [1, 1, 1]
        for step in (3, 4):
            tracked.send({"wandb": tracker}, step)
    assert tracker.logged == [(3, "rollouts/train"), (3, "rollouts/val")]


def test_a_damaged_row_does_not_end_the_training(images, caplog):
    tracked, tracker = TrackedRollouts(images), Recorder()
    with ThreadPoolExecutor(max_workers=1) as executor, caplog.at_level(logging.WARNING):
        for step, index in ((1, 9), (2, 9), (3, 4)):
            tracked.prepare("val", executor, executor.submit(lambda index: [group(index, split="val")], index))
            tracked.send({"wandb": tracker}, step)
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == ["images: shows no rollouts"]
    assert tracker.logged == [(3, "rollouts/val")]


def test_the_trainer_sends_at_the_end_of_a_step_and_of_a_validation(images, monkeypatch, tmp_path):
    trainer, tracker = object.__new__(StoppableTrainer), Recorder()
    trainer.timing_raw = {}
    monkeypatch.setattr(PPOTrainerSync, "on_step_end", lambda self: None)
    trainer.config = SimpleNamespace(trainer=SimpleNamespace(default_local_dir=tmp_path))
    trainer.logger, trainer._tracked = SimpleNamespace(logger={"wandb": tracker}), TrackedRollouts(images)
    trainer._init_dump_executor()
    for step in (1, 2):
        trainer.global_steps = step
        trainer._rollouts = SimpleNamespace(
            choose=lambda split, results: SimpleNamespace(keys=["0"]), fields=lambda chosen: None,
            write=lambda step, chosen, fields, split: [group(4, split=split)])  # fmt: skip
        trainer._keep("train", "train")
        trainer.on_step_end()
        trainer._keep("val", "val")
        trainer.on_validate_end()
    trainer._shutdown_dump_executor()
    assert tracker.logged == [(step, f"rollouts/{split}") for step in (1, 2) for split in ("train", "val")]


def test_with_track_false_nothing_is_prepared(monkeypatch, tmp_path):
    trainer = object.__new__(StoppableTrainer)
    trainer.timing_raw = {}
    monkeypatch.setattr(PPOTrainerSync, "on_step_end", lambda self: None)
    trainer.config = SimpleNamespace(trainer=SimpleNamespace(default_local_dir=tmp_path))
    trainer.on_step_end()  # it has no trackers to look for
    trainer.on_validate_end()
    assert trainer._tracked is None
