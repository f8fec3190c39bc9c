"""Shared by the tests of evaluations: prepared rows (eight phantoms per split), and a headless Chromium for pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import composed
from screenshots import chromium

from vrft_aug.data.preparation.prepare import prepare


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    few = [f"dataset.loader.{split}=8" for split in ("train", "val", "test")]
    prepare(composed("prepare", *few, "policy.max_prompt_length=null", f"out={folder}"), None)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (requirements/dev.txt)")
    if chromium() is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()
