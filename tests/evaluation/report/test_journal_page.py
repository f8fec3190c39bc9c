"""The page of runs with everything that a journal asks, in a headless Chromium: each question within one click."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from screenshots import chromium
from toy_journal import write_journal

from vrft_aug.evaluation.report.report import write_report

QUESTIONS = {  # a question of a reviewer: the section that answers it, and a table there
    "Is it sure?": ("probabilities", "Class probabilities: toy/classification, test split"),
    "Does it look and read?": ("conditions", "Does it look? toy/classification, test split"),
    "For whom does it fail?": ("slices", "For whom does it fail? Accuracy, %: toy/classification, test split"),
}
TABLES = (
    "Refer to a human: toy/classification, test split", "Screening: toy/classification, test split",
    "Is it worth it? Net benefit: toy/classification, test split",
    "Does it read? toy/classification, test split", "Readers, agreement in %: toy/classification, test split",
)  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("journal")
    write_report([write_journal(folder)], folder / "report", None, Console(quiet=True), images=24)
    return folder / "report"


@pytest.fixture(scope="module")
def page(written: Path) -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (requirements/dev.txt)")
    if chromium() is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto((written / "report.html").as_uri())
        yield page
        browser.close()


def test_every_table_and_figure_is_in_markdown_too(written: Path):
    text = (written / "report.md").read_text()
    assert all(f"### {title}" in text for title in (*TABLES, *(table for _, table in QUESTIONS.values())))
    for kind in ("calibration", "severity"):
        assert (written / f"{kind}-toy-classification-test-split.png").read_bytes()[:4] == b"\x89PNG"


def test_the_csv_has_the_metrics_of_probabilities(written: Path):
    table = pd.read_csv(written / "table.csv").set_index("run")
    assert (table["auroc_low"] < table["auroc"]).all() and (table["auroc"] < table["auroc_high"]).all()
    measured = json.loads((written.parent / "runs" / "after" / "metrics.json").read_text())["toy/classification"]
    for key in ("auroc", "calibration_error", "aurc"):
        assert table.loc["after", key] == pytest.approx(measured["probabilities"][key]["value"])


def test_each_question_is_one_click_away(page):
    for name, (anchor, table) in QUESTIONS.items():
        page.locator("nav a", has_text=name).click()
        assert page.url.endswith(f"#{anchor}")
        assert page.locator(f"section#{anchor} caption", has_text=table).first.is_visible()
    for title in TABLES:
        assert page.locator(f"caption:text-is('{title}')").count() == 1


def test_findings_are_seen_first_and_lead_to_their_numbers(page):
    first = page.locator("main section").first
    assert first.get_attribute("id") == "shown" and "It is over-confident" in first.inner_text()
    link = first.locator("dd", has_text="It is over-confident").locator("a")
    link.click()
    assert page.url.endswith("#probabilities")


def test_nothing_scrolls_sideways_at_1280_pixels(page):
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    cut = page.eval_on_selector_all(".scroll", "all => all.filter(one => one.scrollWidth > one.clientWidth + 1)"
                                    ".map(one => one.getAttribute('aria-label'))")  # fmt: skip
    assert cut == []


def test_the_gallery_sorts_by_certainty(page):
    choose = page.locator("#filters select[name=order]")
    page.locator("#filters select[name=other]").select_option(label="no other run")

    def shown() -> list[float]:
        texts = page.locator("#cards .answer > .rewards").all_inner_texts()
        return [float(text.split("probability ")[1].split(" ")[0]) for text in texts if "probability" in text]

    drawn = shown()
    choose.select_option(label="least sure first")
    assert shown() == sorted(drawn) != drawn and len(drawn) == 24
    choose.select_option(label="surest first")
    assert shown() == sorted(drawn, reverse=True)
    choose.select_option(label="as drawn")
    assert shown() == drawn
