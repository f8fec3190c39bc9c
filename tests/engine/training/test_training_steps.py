"""How many steps a training has."""

import pandas as pd
import pytest
from omegaconf import OmegaConf

pytest.importorskip("torch", reason="the training stack is not installed (make setup)")

from vrft_aug.engine.training.common import count_steps, fill_batch
from vrft_aug.errors import InputError


@pytest.mark.parametrize(
    ("steps", "epochs", "total"), [(None, 2, 6), (None, 1, 3), (4, 1_000_000, 4), (120, 2, 6), (4, 2, 4)]
)
def test_steps_or_epochs_whichever_ends_first(tmp_path, steps, epochs, total):
    files = [str(tmp_path / f"{part}.parquet") for part in range(2)]
    for file in files:
        pd.DataFrame({"prompt": range(7)}).to_parquet(file)  # 14 rows: three batches of 4, and 2 rows that verl drops
    trainer = {"total_training_steps": steps, "total_epochs": epochs}
    assert count_steps(OmegaConf.create({"data": {"train_batch_size": 4}, "trainer": trainer}), files) == total


@pytest.mark.parametrize(("steps", "epochs"), [(None, 0), (0, 5)])
def test_no_step_is_an_error(tmp_path, steps, epochs):
    pd.DataFrame({"prompt": range(7)}).to_parquet(tmp_path / "train.parquet")
    config = {"data": {"train_batch_size": 4}, "trainer": {"total_training_steps": steps, "total_epochs": epochs}}
    with pytest.raises(InputError, match=r"7 rows, data.train_batch_size=4, .* make no step"):
        count_steps(OmegaConf.create(config), [str(tmp_path / "train.parquet")])


@pytest.mark.parametrize(("rows", "times"), [(3, 4), (9, 2), (10, 1), (40, 1)])
def test_few_rows_are_repeated_until_they_fill_a_batch(tmp_path, rows, times):
    pd.DataFrame({"prompt": range(rows)}).to_parquet(tmp_path / "train.parquet")
    said = []
    assert fill_batch([str(tmp_path / "train.parquet")], 10, said.append) == [str(tmp_path / "train.parquet")] * times
    told = f"{rows} rows of train.parquet do not fill a batch of 10: each is taken {times} times"
    assert said == ([told] if times > 1 else [])
