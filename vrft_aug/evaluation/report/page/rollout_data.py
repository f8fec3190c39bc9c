"""Turns groups of a training into the JSON that rollouts.js shows."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from vrft_aug.engine.run.rollouts_file import Answer, Group
from vrft_aug.rewards.diagnostics import EQUAL
from vrft_aug.rewards.parsing import BOX_TASKS

LONGEST = 20_000  # characters of a response


def head(group: Group) -> dict[str, Any]:
    """What a list shows of a group, and filters ask; the fields of `rollouts_file.HEAD` are enough.

    class: the ground truth where it is one of the classes, else "". right, rejected: numbers of answers. mixed: whether
    the scores differ, so that the group teaches anything.
    """
    answers = group["answers"]
    scores = [one["score"] for one in answers]
    return {
        "row": group["index"], "id": group["source_id"], "followed": group["followed"], "answers": len(answers),
        "class": group["truth"] if group["truth"] in group["classes"] else "",
        "right": sum(one["acc"] >= 0.5 for one in answers), "rejected": sum(bool(one["rejected"]) for one in answers),
        "mixed": max(scores) - min(scores) >= EQUAL,
    }  # fmt: skip


def shown_groups(groups: Sequence[Group], images: Mapping[int, Any], longest: int = LONGEST) -> dict[str, list]:
    """{"asked": [{"text", "knowledge"}], "groups": [...]}; a group's `asked` is its place in the first list.

    images: index of a row -> what the page's script takes as its image. longest: characters of a response. A number
    that is not finite is null, which JSON has in its place.
    """
    asked: dict[tuple[str, tuple[str, ...]], int] = {}
    shown = []
    for group in groups:
        question = (group["text"], tuple(group["knowledge"]))
        shown.append({
            "row": group["index"], "id": group["source_id"], "followed": group["followed"], "truth": group["truth"],
            "boxes": boxes_of(group["task"], group["truth"]), "asked": asked.setdefault(question, len(asked)),
            "image": images.get(group["index"]),
            "answers": [_answer(group["task"], one, longest) for one in group["answers"]],
        })  # fmt: skip
    return {"asked": [{"text": text, "knowledge": list(known)} for text, known in asked], "groups": shown}


def _answer(task: str, answer: Answer, longest: int) -> dict[str, Any]:
    parts = [{"name": part["name"], "value": finite(part["value"]), "share": finite(part["share"])}
             for part in answer["parts"]]  # fmt: skip
    return {
        "response": shortened(answer["response"], longest), "answer": answer["prediction"],
        "rejected": answer["rejected"], "right": answer["acc"] >= 0.5, "score": finite(answer["score"]), "parts": parts,
        "tokens": answer["tokens"], "advantage": finite(answer["advantage"]), "kl": finite(answer["kl"]),
        "boxes": boxes_of(task, answer["prediction"]),
    }  # fmt: skip


def shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]} … (cut: {len(text)} characters)"


def finite(value: float | None) -> float | None:
    """The value to six significant digits; None for one that is not finite."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def boxes_of(task: str, text: str) -> list[list[float]] | None:
    """The boxes of a ground truth or a prediction; None for another task and without an answer."""
    found = json.loads(text) if task in BOX_TASKS and text else None
    return [found] if task == "localization" and found else found
