"""Prepared rows for tests of what reads them: eight phantoms per split."""

from pathlib import Path

import pytest
from repository import composed

from vrft_aug.data.preparation.prepare import prepare


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    few = [f"dataset.loader.{split}=8" for split in ("train", "val", "test")]
    prepare(composed("prepare", *few, "policy.max_prompt_length=null", f"out={folder}"), None)
    return folder
