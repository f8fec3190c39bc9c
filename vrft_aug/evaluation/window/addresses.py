"""Answers each address of the page's server: with the page itself, the states of the runs, curves, rollouts or images.

A run has a key, which `run_states` made from the listing of the folder: no path comes from an address.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vrft_aug.engine.run import rollouts_file
from vrft_aug.errors import InputError
from vrft_aug.evaluation.report.page import page_files, thumbnails
from vrft_aug.evaluation.report.page.rollout_data import head, shown_groups
from vrft_aug.evaluation.report.panels import curve_data
from vrft_aug.evaluation.runs import facts_of, training_of
from vrft_aug.evaluation.window.pictures import Pictures
from vrft_aug.evaluation.window.run_states import run_folders, states
from vrft_aug.rewards.diagnostics import warnings

IMAGE_SECONDS = 600  # for which a browser may keep an image


@dataclass
class Window:
    """root: the folder that is watched."""

    root: Path
    pictures: Pictures = field(default_factory=Pictures)

    def state(self, request: Request) -> Response:
        return JSONResponse({"folder": str(self.root), "exists": self.root.is_dir(), "runs": states(self.root)})

    def curves(self, request: Request) -> Response:
        """The panels of a training, and what is wrong with its last step."""
        training = training_of(self._run(request))
        signs = training.steps.filter(regex="^reward/").dropna(how="all")
        last = {str(name): float(value) for name, value in signs.iloc[-1].dropna().items()} if len(signs) else {}
        return JSONResponse({"panels": curve_data([training]), "warnings": warnings(last, training.bounds),
                             "step": int(signs.index[-1]) if len(signs) else None})  # fmt: skip

    def index(self, request: Request) -> Response:
        """The steps that have rollouts, with the heads of their groups, or why they cannot be read."""
        run, newest = self._run(request), request.query_params.get("newest", "0")
        steps = rollouts_file.steps(run)[-int(newest) if newest.isdecimal() else 0 :]
        found = [_heads(run, step, split, _stamp(run, step, split)) for step, split in steps]
        return JSONResponse({"steps": [one for one in found if one], "note": note(run)})

    def groups(self, request: Request) -> Response:
        """The groups of one step and split."""
        run, step, split = self._run(request), request.path_params["step"], request.path_params["split"]
        if (step, split) not in rollouts_file.steps(run):
            raise HTTPException(404)
        groups = rollouts_file.read(run, step, split)
        file, key = _rows(run, split), request.path_params["key"]
        found = self.pictures.of(file, {one["index"]: one["source_id"] for one in groups}) if file else {}
        images = {row: thumbnails.shown(images, [f"runs/{key}/image/{split}/{row}/{i}" for i in range(len(images))])
                  for row, images in found.items()}  # fmt: skip
        return JSONResponse(shown_groups(groups, images))

    def image(self, request: Request) -> Response:
        asked = request.path_params
        file = _rows(self._run(request), asked["split"]) if asked["split"] in rollouts_file.SPLITS else None
        image = self.pictures.one(file, asked["row"], asked["number"]) if file else None
        if image is None:
            raise HTTPException(404)
        cached = {"cache-control": f"private, max-age={IMAGE_SECONDS}"}
        return Response(image.body, media_type=f"image/{image.kind}", headers=cached)

    def _run(self, request: Request) -> Path:
        if (run := run_folders(self.root).get(request.path_params["key"])) is None:
            raise HTTPException(404)
        return run


def note(run: Path) -> str:
    """Why a run has no rollouts or images; "" where it has both."""
    recipe = facts_of(run).recipe
    if not (run / rollouts_file.FOLDER).is_dir():
        return {
            "sft": "A supervised training samples no answers, so it has no rollouts.",
            "grpo": "No rollouts: they come with the first step. A run of an earlier version, or with "
                    "rollouts.keep=false, keeps none.",
        }.get(recipe or "", "This run keeps no rollouts.")  # fmt: skip
    missing = "No images: the prepared rows are not in the folder that run.json names (parquet)."
    return "" if any(_rows(run, split) for split in rollouts_file.SPLITS) else missing


def _rows(run: Path, split: str) -> Path | None:
    """The file of prepared rows of a split; None if it is gone or run.json does not name its folder."""
    parquet = facts_of(run).parquet
    found = [Path(parquet) / f"{split}.parquet", *Path(parquet).glob(f"{split}-*.parquet")] if parquet else []
    return found[0] if any(file.is_file() for file in found) else None


def _stamp(run: Path, step: int, split: str) -> str:
    try:
        found = rollouts_file.path_of(run, step, split).stat()
        return f"{found.st_mtime_ns}-{found.st_size}"
    except OSError:
        return ""


@lru_cache(maxsize=4096)
def _heads(run: Path, step: int, split: str, stamp: str) -> dict[str, Any] | None:
    """The heads of a file that has this stamp; None if it is gone: the training removes some, and those that it does
    again."""
    shown: dict[str, Any] = {"step": step, "split": split, "stamp": stamp, "groups": [], "error": ""}
    try:
        return shown | {"groups": [head(one) for one in rollouts_file.read_heads(run, step, split)]}
    except InputError as error:
        return shown | {"error": str(error)} if rollouts_file.path_of(run, step, split).exists() else None


def _said(give: Callable[[Request], Response], request: Request) -> Response:
    """What a person can fix goes to the page in one line."""
    try:
        return give(request)
    except InputError as error:
        return JSONResponse({"error": str(error)}, 422)


def _file(parts: list[Path], kind: str, request: Request) -> Response:
    return Response(page_files.text_of(parts), media_type=f"{kind}; charset=utf-8")


def routes(root: Path) -> list[Route]:
    """The addresses below the token."""
    window = Window(root.resolve())
    files = {"/": (page_files.WATCH_PAGE, "text/html"), "/page.js": (page_files.WATCH_SCRIPTS, "text/javascript"),
             "/page.css": (page_files.WATCH_STYLES, "text/css")}  # fmt: skip
    data = {"/state": window.state, "/runs/{key}/curves": window.curves, "/runs/{key}/index": window.index,
            "/runs/{key}/groups/{step:int}/{split}": window.groups,
            "/runs/{key}/image/{split}/{row:int}/{number:int}": window.image}  # fmt: skip
    return [*(Route(path, partial(_file, *found)) for path, found in files.items()),
            *(Route(path, partial(_said, give)) for path, give in data.items())]  # fmt: skip
