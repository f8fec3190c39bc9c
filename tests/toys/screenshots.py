"""Takes pictures of a report, or of the page beside a training, for README and docs with the system's Chromium.

    python tests/toys/screenshots.py runs/table3/report/report.html docs

writes docs/report.png, docs/report-training.png and docs/report-gallery.png; of an evaluation with preset=journal

    python tests/toys/screenshots.py runs/report/report.html docs evaluation

writes docs/evaluation.png, docs/evaluation-probabilities.png, docs/evaluation-conditions.png and so on. Of a folder

    python tests/toys/screenshots.py runs docs watch

writes docs/watch.png: the page of `make watch RUN=runs`. `make screenshots` calls it.
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
        for section in ("probabilities", "conditions", "slices", "training", "rollouts", "gallery"):
            if page.locator(f"#{section}").count():
                page.evaluate(f"document.getElementById('{section}').scrollIntoView({{behavior: 'instant'}})")
                page.screenshot(path=out / f"{name}-{section}.png")
        browser.close()


def take_window(runs: Path, out: Path, name: str = "watch") -> None:
    """The page beside the trainings below `runs`, at the newest step."""
    from page_site import Site
    from playwright.sync_api import sync_playwright

    site = Site(runs)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 1080}, color_scheme="light")
        page.goto(site.url)
        page.locator(".group h3").wait_for()
        page.locator("#folder").evaluate("(line) => line.remove()")  # a path of this machine
        page.wait_for_function("[...document.images].every((image) => image.complete)")
        page.screenshot(path=out / f"{name}.png")
        browser.close()
    site.stop()


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or chromium() is None:
        sys.exit(f"{__doc__}needs two or three arguments and one of {', '.join(NAMES)}")
    take_it = take_window if Path(sys.argv[1]).is_dir() else take
    take_it(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
