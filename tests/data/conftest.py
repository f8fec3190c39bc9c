from pathlib import Path

import pytest


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """The folder in which toy_data.py writes its data sets."""
    return tmp_path / "raw"
