"""How many steps a training has, and what it refuses before verl starts."""

from types import SimpleNamespace

import pandas as pd
import pytest
from omegaconf import OmegaConf
from toy_data import compose_config

pytest.importorskip("torch", reason="the training stack is not installed (make setup)")

from vrft_aug.configs import compose
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.engine.run import preflight
from vrft_aug.engine.training.checkpoints import Criterion
from vrft_aug.engine.training.common import Trainer, train
from vrft_aug.engine.training.row_files import count_steps, fill_batch
from vrft_aug.errors import InputError


@pytest.mark.parametrize(
    ("steps", "epochs", "total"), [(None, 2, 6), (None, 1, 3), (4, 1_000_000, 4), (120, 2, 6), (4, 2, 4)]
)
def test_steps_or_epochs_whichever_ends_first(steps, epochs, total):
    """14 rows: three batches of 4, and 2 rows that verl drops."""
    trainer = {"total_training_steps": steps, "total_epochs": epochs}
    assert count_steps(OmegaConf.create({"data": {"train_batch_size": 4}, "trainer": trainer}), 14) == total


@pytest.mark.parametrize(("steps", "epochs"), [(None, 0), (0, 5)])
def test_no_step_is_an_error(steps, epochs):
    config = {"data": {"train_batch_size": 4}, "trainer": {"total_training_steps": steps, "total_epochs": epochs}}
    with pytest.raises(InputError, match=r"7 rows, data.train_batch_size=4, .* give no step"):
        count_steps(OmegaConf.create(config), 7)


@pytest.mark.parametrize(("rows", "times"), [(3, 4), (9, 2), (10, 1), (40, 1)])
def test_few_rows_are_repeated_until_they_fill_a_batch(tmp_path, rows, times):
    pd.DataFrame({"prompt": range(rows)}).to_parquet(tmp_path / "train.parquet")
    said = []
    assert fill_batch([str(tmp_path / "train.parquet")], 10, said.append) == [str(tmp_path / "train.parquet")] * times
    told = f"{rows} rows of train.parquet do not fill a batch of 10: each is used {times} times"
    assert said == ([told] if times > 1 else [])


def test_a_full_disk_is_refused_before_verl_starts(tmp_path, monkeypatch):
    pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
    sizes = [f"dataset.loader.{split}=64" for split in ("train", "val", "test")]
    prepare(compose_config(f"out={tmp_path}", *sizes), None)
    config = compose("sft", [f"parquet={tmp_path}", f"out={tmp_path / 'out'}"])
    (tmp_path / "out").mkdir()
    run = SimpleNamespace(recipe="sft", folder=tmp_path / "out", record=lambda **facts: None, say=print, log=None)
    started = []
    trainer = Trainer({}, "model.path", "trainer.max_ckpt_to_keep", Criterion("loss", "val/loss", min), started.append)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: SimpleNamespace(free=2**20))
    with pytest.raises(InputError, match=r"checkpoints of policy .* need about .* 0\.0 GiB are free"):
        train(config, run, trainer)
    assert started == []
