"""Selects the rollouts that a report contains: steps evenly spread over each training, within a bound of bytes."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2.utils import htmlsafe_json_dumps

from vrft_aug.engine.run import rollouts_file
from vrft_aug.engine.run.rollouts_file import Group
from vrft_aug.errors import InputError
from vrft_aug.evaluation.report.page.rollout_data import head, shown_groups
from vrft_aug.evaluation.report.page.thumbnails import thumbnails
from vrft_aug.evaluation.runs import Training

LARGEST = 4_000_000  # bytes of all rollouts of a report, images included
STEPS = 32  # of each training and split at most
LONGEST = 3000  # characters of a response

Image = dict[str, Any]
Pieces = dict[Hashable, int]  # what the page has once -> its bytes


@dataclass
class Album:
    """The images of all trainings, each once: cells of a table share their rows. read: (file, row) -> image or None."""

    read: dict[tuple[Path, int], Image | None] = field(default_factory=dict)
    places: dict[tuple[Path, int], int] = field(default_factory=dict)
    images: list[Image] = field(default_factory=list)

    def look(self, file: Path, groups: Sequence[Group]) -> None:
        """Read the images of these groups."""
        wanted = {one["index"]: one["source_id"] for one in groups if (file, one["index"]) not in self.read}
        found = thumbnails(file, wanted) if wanted else {}
        self.read |= {(file, index): found.get(index) for index in wanted}

    def add(self, file: Path, groups: Sequence[Group]) -> dict[int, int]:
        """index of a row -> the place of its image."""
        for key in dict.fromkeys((file, one["index"]) for one in groups):
            image = self.read[key]
            if image and key not in self.places:
                self.places[key] = len(self.images)
                self.images.append(image)
        return {row: place for (one, row), place in self.places.items() if one == file}


def embedded(trainings: Sequence[Training], largest: int = LARGEST) -> dict[str, Any] | None:
    """What the page's scripts take (embedded.js): {"runs", "images", "reading": what a person should know}.

    None if no training has rollouts. Validations come first, for the film strip; then as many steps of the training as
    fit, the first and the last included. Every training has the same share of `largest` bytes.
    """
    found = [one for one in trainings if rollouts_file.steps(one.folder)]
    if not found:
        return None
    album = Album()
    runs = [_run(str(place), one, album, largest // len(found)) for place, one in enumerate(found)]
    data = {"runs": runs, "images": album.images}
    lacking = [one.name for one in trainings if one not in found]
    without = f" Without rollouts: {', '.join(lacking)}." if lacking else ""
    size = f"They take {_size(data) / 1e6:.1f} MB of this page (at most {largest / 1e6:.1f} MB, so of long trainings " \
           f"evenly spread steps), with images of at most 160 pixels; the run's folder has all.{without}"  # fmt: skip
    return data | {"reading": size}


def _run(key: str, training: Training, album: Album, budget: int) -> dict[str, Any]:
    """The rollouts of one training as index, questions and groups by "step/split"."""
    index: list[dict[str, Any]] = []
    chosen: list[Group] = []
    images: dict[tuple[str, int], int] = {}
    spent: Pieces = {}
    for split in ("val", "train"):
        file = Path(training.facts.parquet or "") / f"{split}.parquet"
        steps, faults = _read(training.folder, split)
        album.look(file, [one for groups in steps.values() for one in groups])
        pieces = {step: _pieces(groups, file, album) for step, groups in steps.items()}
        fitting = _fitting(pieces, spent, budget)
        groups = [one for step in fitting for one in steps[step]]
        for step in fitting:
            spent |= pieces[step]
        images |= {(split, row): place for row, place in album.add(file, groups).items()}
        chosen += groups
        index += faults + [_entry(step, split) | {"groups": [head(one) for one in steps[step]]} for step in fitting]
    shown = _shown(chosen, images)
    index.sort(key=lambda one: (one["step"], one["split"]))
    note = "" if images else "No images: the prepared rows are not in the folder that run.json names (parquet)."
    return {"key": key, "name": training.name, "note": note, "steps": index, **shown}


def _shown(groups: Sequence[Group], images: dict[tuple[str, int], int]) -> dict[str, Any]:
    shown = shown_groups(groups, {}, LONGEST)
    by_step: dict[str, list] = {}
    for group, one in zip(groups, shown["groups"], strict=True):
        image = images.get((group["split"], group["index"]))
        by_step.setdefault(f"{group['step']}/{group['split']}", []).append(one | {"image": image})
    return {"asked": shown["asked"], "groups": by_step}


def _read(run: Path, split: str) -> tuple[dict[int, list[Group]], list[dict[str, Any]]]:
    """step -> groups of at most STEPS steps of a split, and an entry for each file that cannot be read."""
    steps: dict[int, list[Group]] = {}
    faults = []
    for step in spread([step for step, one in rollouts_file.steps(run) if one == split], STEPS):
        try:
            steps[step] = rollouts_file.read(run, step, split)
        except InputError as error:
            faults.append(_entry(step, split) | {"error": str(error)})
    return steps, faults


def _entry(step: int, split: str) -> dict[str, Any]:
    return {"step": step, "split": split, "stamp": "", "error": "", "groups": []}


def _pieces(groups: Sequence[Group], file: Path, album: Album) -> Pieces:
    """What the page has of some groups; a question and an image are in it once."""
    pieces: Pieces = {("image", file, one["index"]): _size(album.read[file, one["index"]]) for one in groups
                      if (file, one["index"]) not in album.places}  # fmt: skip
    for one in groups:
        shown = shown_groups([one], {}, LONGEST)
        pieces["asked", one["text"], *one["knowledge"]] = _size(shown["asked"])
        pieces["group", one["split"], one["step"], one["prompt"]] = _size(shown["groups"]) + _size(head(one))
    return pieces


def _fitting(pieces: dict[int, Pieces], spent: Pieces, budget: int) -> list[int]:
    """As many of the steps, evenly spread, as `budget` bytes allow beside what is spent."""
    for count in range(len(pieces), 0, -1):
        chosen, all_of_them = spread(list(pieces), count), dict(spent)
        for step in chosen:
            all_of_them |= pieces[step]
        if sum(all_of_them.values()) <= budget:
            return chosen
    return []


def spread(steps: list[int], count: int) -> list[int]:
    """At most `count` of the steps, evenly spread, the first and the last included; of one alone the last."""
    if len(steps) <= count:
        return steps
    return [steps[round(place * (len(steps) - 1) / (count - 1))] for place in range(count)] if count > 1 else steps[-1:]


def _size(data: Any) -> int:
    """Bytes in the page."""
    return len(htmlsafe_json_dumps(data)) if data else 0
