"""A split is found by its file or its shards; a wrong name gets the list of splits that exist."""

import pytest

from vrft_aug.data.rows.parquet_files import parquet_files
from vrft_aug.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for name in ("test", "train-00000", "train-00001", "sft_train", "trl_val"):
        (tmp_path / f"{name}.parquet").touch()
    return tmp_path


def test_a_file_or_its_shards_are_found(folder):
    assert parquet_files(folder / "test.parquet") == [folder / "test.parquet"]
    assert parquet_files(folder / "train.parquet") == [folder / f"train-0000{i}.parquet" for i in range(2)]


def test_a_wrong_split_gets_the_splits_that_exist(folder):
    with pytest.raises(InputError, match=r"tests\.parquet does not exist: the splits in this folder are train, test; "):
        parquet_files(folder / "tests.parquet")


def test_a_folder_without_rows_gets_the_recipe_that_writes_them(tmp_path):
    with pytest.raises(InputError, match=r"train\.parquet does not exist: run recipes/prepare\.py first"):
        parquet_files(tmp_path / "train.parquet")
