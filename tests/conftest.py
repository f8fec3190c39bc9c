"""Fixtures for all tests."""

from pathlib import Path

import pytest
from repository import ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real images (layout: README of the data root). Third-party data is not part of the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real images at {folder}: third-party data is not part of the repository")
    return folder
