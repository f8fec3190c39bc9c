"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest
from repository import ROOT

for name in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "ARGS"):  # `make test ARGS=...` sets them, also for a test's make
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real images (layout: README of the data root). Third-party data is not part of the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real images at {folder}: third-party data is not part of the repository")
    return folder
