"""The tiny policy of the package, loaded once for all tests of this folder."""

from pathlib import Path

import pytest
from transformers import AutoModelForImageTextToText, AutoProcessor

from vrft_aug.tiny import shipped


@pytest.fixture(scope="session")
def folder() -> Path:
    return shipped.FOLDER


@pytest.fixture(scope="session")
def model(folder):
    return AutoModelForImageTextToText.from_pretrained(folder).eval()


@pytest.fixture(scope="session")
def processor(folder):
    return AutoProcessor.from_pretrained(folder)
