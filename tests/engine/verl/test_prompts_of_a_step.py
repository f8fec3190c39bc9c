"""Checks which prompts the trainer takes for a step and for the rounds of dynamic sampling, and that it can resume."""

from collections import Counter
from pathlib import Path

import pytest
from repository import composed
from toy_data import compose_config

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from verl.utils import hf_processor, hf_tokenizer

from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.engine.verl.trainer import StoppableTrainer
from vrft_aug.tiny.shipped import FOLDER

FEW = [f"dataset.loader.{split}=24" for split in ("train", "val", "test")]


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    prepare(compose_config("dataset=phantom", f"out={folder}", *FEW), None)
    return folder


def trainer(rows: Path, variant: str, step: int = 7) -> StoppableTrainer:
    """Our trainer as far as it takes prompts from its data; it has no workers."""
    config = composed("grpo", f"variant={variant}", f"parquet={rows}", "schedule.batch_size=8",
                      "rollouts.keep=false").copy()  # fmt: skip
    one = StoppableTrainer.__new__(StoppableTrainer)
    one.config, one.trainer_mode, one.parameter_sync_step = config, "sync", 1
    one.tokenizer, one.processor = hf_tokenizer(str(FOLDER)), hf_processor(str(FOLDER))
    one.global_steps, one._named = step, Counter()
    one._init_dataloader()
    return one


def drawn(one: StoppableTrainer, count: int | None = None) -> list[tuple[str, str]]:
    """(name, image) of the next prompts, as an agent loop's worker reads them after the batch is divided."""
    found = []
    for part in one._next_train_batch(count).chunk(2):
        found += zip(list(part["uid"]), (row["source_id"] for row in part["extra_info"]), strict=True)
    return found


def test_rounds_draw_the_prompts_that_follow_and_name_them_by_their_place(rows):
    plain, dynamic = trainer(rows, "grpo"), trainer(rows, "dapo")
    first = drawn(plain)
    assert [name for name, _ in first] == [f"00007.{place:04}" for place in range(8)]
    assert drawn(dynamic) == first
    more = [*drawn(dynamic, 3), *drawn(dynamic, 1), *drawn(dynamic, 4)]
    assert [name for name, _ in more] == [f"00007.{place:04}" for place in range(8, 16)]
    assert [image for _, image in more] == [image for _, image in drawn(plain)]


def test_after_the_last_prompt_the_data_set_begins_anew(rows):
    one = trainer(rows, "dapo")
    images = [image for _ in range(6) for _, image in drawn(one, 5)]
    assert len(set(images[:24])) == 24 and set(images[24:]) <= set(images[:24])


def test_a_resumed_training_continues_after_the_prompts_of_the_rounds(rows):
    one = trainer(rows, "dapo")
    drawn(one), drawn(one, 3)
    state = one.train_dataloader.state_dict()
    one.global_steps = 8
    resumed = trainer(rows, "dapo", step=8)
    resumed.train_dataloader.load_state_dict(state)
    assert drawn(resumed) == drawn(one)
    assert drawn(resumed, 2) == drawn(one, 2)
