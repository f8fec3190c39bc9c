"""Takes pictures of a report for README and docs with the system's Chromium: its top, and the sections that it has.

    python tests/toys/screenshots.py runs/table3/report/report.html docs

writes docs/report.png, docs/report-training.png and docs/report-gallery.png; of an evaluation with preset=journal

    python tests/toys/screenshots.py runs/report/report.html docs evaluation

writes docs/evaluation.png, docs/evaluation-probabilities.png, docs/evaluation-conditions.png and so on.
"""

import shutil
import sys
from pathlib import Path

SIZE = {"width": 1200, "height": 820}  # pixels
NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """Path of the system's Chromium; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def take(report: Path, out: Path, name: str = "report") -> None:
    """The top of the page and some sections; the gallery has the first and the last run side by side."""
    from playwright.sync_api import sync_playwright

    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(report.resolve().as_uri())
        page.screenshot(path=out / f"{name}.png")
        other = page.locator("#filters select[name=other]")
        if other.count():
            other.select_option(index=other.locator("option").count() - 1)
        for section in ("probabilities", "conditions", "slices", "training", "gallery"):
            if page.locator(f"#{section}").count():
                page.evaluate(f"document.getElementById('{section}').scrollIntoView({{behavior: 'instant'}})")
                page.screenshot(path=out / f"{name}-{section}.png")
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or chromium() is None:
        sys.exit(f"{__doc__}needs two or three arguments and one of {', '.join(NAMES)}")
    take(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
