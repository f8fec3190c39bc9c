"""Names the files of which the pages are made: the report's, and the one that follows trainings (window/)."""

from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent
WATCH = FOLDER.parents[1] / "window"
SHARED = [FOLDER / f"{name}.js" for name in ("dom", "curves", "picture", "gallery", "answers", "strip",
                                             "rollout_controls", "rollouts")]  # fmt: skip
STYLES = [FOLDER / "page.css", FOLDER / "rollouts.css"]
SCRIPTS = [*SHARED, *(FOLDER / f"{name}.js" for name in ("tables", "embedded", "report"))]
WATCH_SCRIPTS = [*SHARED, WATCH / "watch.js"]
WATCH_STYLES = [*STYLES, WATCH / "watch.css"]
WATCH_PAGE = [WATCH / "watch.html"]


def text_of(files: Iterable[Path]) -> str:
    """The texts of the files, one after another."""
    return "".join(file.read_text(encoding="utf-8") for file in files)
