"""Reads and writes what a policy's folder says about itself: pixel bounds of its images, lengths, trainings.

The processor files in the folder are the one place of the pixel bounds: preparation, both trainings, evaluation,
serving and every program that loads the policy read them from there. `SETTINGS` holds what they have no key for.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig

from vrft_aug.errors import InputError
from vrft_aug.files import write_whole

SETTINGS = "vrft_aug.json"
KEPT = ("name", "box_frame", "max_prompt_length", "max_response_length", "max_length")  # of the config group `policy`
PROCESSORS = (("processor_config.json", "image_processor"), ("preprocessor_config.json", None))  # file, key inside


class Bounds(NamedTuple):
    """How the policy's image processor resizes: area between two bounds in pixels, sides multiples of patch * merge."""

    min_pixels: int
    max_pixels: int
    patch: int
    merge: int


def read_bounds(folder: Path) -> Bounds | None:
    """The bounds in the processor files of a policy's folder; None: there are no such files.

    Raises InputError for a file without bounds.
    """
    for file, _, processor in _processors(folder):
        size = processor.get("size") or {}
        try:
            return Bounds(processor.get("min_pixels") or size["shortest_edge"],
                          processor.get("max_pixels") or size["longest_edge"],
                          processor["patch_size"], processor["merge_size"])
        except KeyError as error:
            raise InputError(f"{file}: no {error.args[0]}, so the size of its images is not known; use a policy with "
                             "an image processor of the Qwen2-VL family") from None
    return None


def write_bounds(folder: Path, min_pixels: int, max_pixels: int) -> None:
    """Set the bounds in every processor file of the folder. A link becomes a file; its target stays as it is."""
    for file, content, processor in _processors(folder):
        processor["size"] = {"longest_edge": max_pixels, "shortest_edge": min_pixels}
        for old in ("min_pixels", "max_pixels"):  # older names; transformers lets them win over `size`
            processor.pop(old, None)
        write_whole(file, json.dumps(content, indent=2) + "\n")


def write_settings(folder: Path, policy: DictConfig, trainings: Iterable[Mapping[str, Any]]) -> None:
    """Write SETTINGS: the keys KEPT of the config group `policy`, and the trainings that made the policy, in order."""
    content = {key: policy[key] for key in KEPT} | {"trainings": list(trainings)}
    write_whole(folder / SETTINGS, json.dumps(content, indent=2) + "\n")


def read_settings(path: str | Path | None) -> dict[str, Any] | None:
    """SETTINGS of the policy that `policy.path` names: a folder, a run, or a checkpoint. None: it has none."""
    folder = Path(path).expanduser() if path else None
    for candidate in (folder, folder / "policy", folder.parent, folder.parent.parent) if folder else ():
        if (file := candidate / SETTINGS).is_file():
            try:
                return dict(json.loads(file.read_text(encoding="utf-8")))
            except ValueError as error:
                raise InputError(f"{file}: not JSON ({error}); export the policy again") from None
    return None


def adopt(config: DictConfig, overrides: Iterable[str] = ()) -> DictConfig:
    """The config with the settings of the policy that `policy.path` names, where a run of ours made that policy.

    overrides: the command line's. A setting of an answer's length wins over the folder's. Raises InputError if the
    command line names another policy, frame or bounds than the folder.
    """
    found = read_settings(config.policy.path)
    if found is None:
        return config
    folder = Path(config.policy.path).expanduser()
    given = {key.lstrip("+"): value for key, _, value in (item.partition("=") for item in overrides)}
    fixed = {"name": found["name"], "box_frame": found["box_frame"]} | _bounds_of(folder)
    asked = {key: config.policy[key] for key in fixed if f"policy.{key}" in given}
    asked |= {"name": config.policy.name} if "policy" in given else {}
    for key, value in asked.items():
        if value != fixed[key]:
            named = "policy" if key == "name" else f"policy.{key}"
            raise InputError(f"{named}={value} contradicts policy.path={config.policy.path}, which was made with "
                             f"{fixed[key]}; leave {named} out, or name another policy")
    lengths = {key: found[key] for key in KEPT if key.startswith("max_") and f"policy.{key}" not in given}
    changed = config.copy()
    for key, value in (fixed | lengths).items():
        changed.policy[key] = value  # other keys refer to these, so they change too
    changed.policy_name = found["name"]
    return changed


def _bounds_of(folder: Path) -> dict[str, int]:
    """The bounds of a policy's folder, of a run, or of a checkpoint, as keys of the config group `policy`."""
    places = (folder, folder / "policy", folder / "huggingface", folder / "actor" / "huggingface")
    return next((found._asdict() for place in places if (found := read_bounds(place))), {})


def _processors(folder: Path) -> Iterator[tuple[Path, dict[str, Any], dict[str, Any]]]:
    """The processor files of a folder: path, content, and the image processor's part of the content."""
    for name, key in PROCESSORS:
        if (file := folder / name).is_file():
            try:
                content = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(f"{file}: not JSON ({error}); fetch the policy again") from None
            if key is None or key in content:
                yield file, content, content[key] if key else content
