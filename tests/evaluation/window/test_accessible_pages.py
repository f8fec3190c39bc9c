"""axe-core finds no serious fault in the page beside a training and in a report, in light and dark."""

from pathlib import Path

import pytest
from page_site import Site
from rich.console import Console
from toy_rollouts import write_picture_rows, write_rollouts
from toy_runs import predictions, write_evaluation

from vrft_aug.evaluation.report.report import write_report

SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("accessible")
    rows = write_picture_rows(folder / "rows")
    for name in ("before", "after"):
        write_rollouts(folder / "runs" / name, 3, rows)
    write_evaluation(folder / "runs" / "test", "test", predictions(["0", "1", "2"], ["0", "0", ""]))
    return folder / "runs"


def faults(page, url: str) -> list[str]:
    """What axe-core finds on the whole page, with its details open."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="requirements/dev.txt is not installed")
    page.goto(url)
    page.locator(".group h3").first.wait_for()
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.locator(".strip tbody tr").first.wait_for()
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 20
    return [f"{one['id']} {node['html'][:120]}" for one in found["violations"] if one["impact"] in SERIOUS
            for node in one["nodes"]]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_beside_a_training(browser, runs, scheme):
    site = Site(runs)
    page = browser.new_page(color_scheme=scheme)
    found = faults(page, site.url)
    page.close()
    site.stop()
    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report(browser, runs, scheme, tmp_path):
    write_report([runs], tmp_path, None, Console(quiet=True))
    page = browser.new_page(color_scheme=scheme)
    found = faults(page, (tmp_path / "report.html").as_uri())
    page.close()
    assert found == []
