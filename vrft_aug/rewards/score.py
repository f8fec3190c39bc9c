"""Scores one response: reads it, computes the rewards of the row's task, and adds them up by weight."""

import json
from collections.abc import Mapping
from typing import Any

from vrft_aug.errors import InputError
from vrft_aug.rewards import accuracy, boxes, iou
from vrft_aug.rewards.objective import Objective, compose
from vrft_aug.rewards.parsing import BOX_TASKS, FORMS, QUESTION, Response, parse
from vrft_aug.rewards.row import ExtraInfo

FRAMES = ("image_size", "frame_size")
CLASSES = ("classes",)
ROW_KEYS = {"classification": CLASSES, "grading": CLASSES, QUESTION: CLASSES, "localization": FRAMES,
            "detection": FRAMES}  # fmt: skip


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: ExtraInfo,
    objective: str | Mapping | Objective = "accuracy",
    *,
    tokens: int | None = None,
    progress: float | None = None,
) -> dict[str, Any]:
    """Score one response by the rewards that `objective` gives its row's task (eq. 8, 10).

    Args:
        data_source: the data set's name. It is part of verl's signature; only error messages use it.
        solution_str: the response's text. Any text is allowed: a malformed one scores low and raises no error.
        ground_truth: the class name, the grade, the option, or the box as a JSON list in original pixels, after the
            number of its image where the row has several; for detection a list of boxes.
        extra_info: the row's; a plain dict with `task` and the keys that the task's rewards read.
        objective: the name of a file in conf/objective/, a mapping of the same form, or a result of `compose`.
        tokens: the response's length in tokens, the end token included; None where it is not known.
        progress: the share of the training that is done (schedule.py); None where nothing is trained.

    Returns:
        `score` (float): the weighted sum.
        Every reward of the objective under its name (float, before its weight), and `<reward>_clipped` (0.0 or 1.0)
            where it has a `clip`, and `<reward>_<parameter>`, the value of a parameter that changes during a training.
            None where this task does not use the reward: verl leaves None out of its means.
        `acc` (0.0 or 1.0): the right class, grade or option; for localization IoU >= 0.5; for detection all boxes found
            and no other stated, at IoU >= 0.5.
        `task`, `prediction` (str): the class, else the stated label; the box or boxes in original pixels as JSON; "" is
            no answer.
        `stated_confidence` (float): as the response states it, from 0 to 1; None where it states none.
        `rejected` (str): why the answer counts for nothing, "" where it counts.
        The keys are the same for every sample of an objective.

    Raises:
        InputError: the objective or the row is malformed; the message names the key.
    """
    composed = compose(objective)
    row: Mapping[str, Any] = extra_info or {}
    task = row.get("task")
    if task not in ROW_KEYS:
        raise InputError(f"{data_source}: extra_info.task is {task!r}, not one of {', '.join(ROW_KEYS)}: prepare again")
    for key in ROW_KEYS[task]:
        if row.get(key) is None or not len(row[key]):
            raise InputError(f"{data_source}: extra_info.{key} is missing from a row of {task}: prepare again")
    if (form := row.get("form")) not in (None, *FORMS):
        raise InputError(f"{data_source}: extra_info.form is {form!r}, not one of {', '.join(FORMS)}: prepare again")
    response = parse(solution_str, task, tokens, form, task in BOX_TASKS and len(row["image_size"]) > 2)
    result: dict[str, Any] = {"score": 0.0, **dict.fromkeys(composed.parts)}
    for term in composed.terms[task]:
        now = {key: schedule.at(progress) for key, schedule in term.schedules.items()}
        value = term.reward(response, ground_truth, extra_info, **term.parameters, **now)
        result |= {f"{term.name}_{key}": setting for key, setting in now.items()}
        if term.clip is not None:
            result[f"{term.name}_clipped"] = float(abs(term.weight * value) > term.clip)
        result[term.name] = value
        result["score"] += term.share(value)
    result |= {"task": task, "stated_confidence": response.confidence}
    return result | _verdict(response, ground_truth, extra_info)


def _verdict(response: Response, ground_truth: str, row: ExtraInfo) -> dict[str, Any]:
    """acc, prediction and rejected."""
    if response.rejected:
        return {"acc": 0.0, "prediction": "", "rejected": response.rejected}
    if response.box is not None:
        box = iou.to_pixels(response.box, row)
        right, prediction = iou.reward(response, ground_truth, row), json.dumps(_rounded(box))
        rejected = "" if iou.has_area(box) else "box without area"
    elif response.boxes is not None:
        right, rejected = boxes.all_found(response, ground_truth, row), ""
        prediction = json.dumps([*map(_rounded, boxes.stated(response.boxes, row))])
    else:
        name = accuracy.class_of(response.label, row)
        right, prediction = accuracy.reward(response, ground_truth, row), response.label if name is None else name
        rejected = "not a class" if name is None else ""
    return {"acc": right, "prediction": prediction, "rejected": rejected}


def _rounded(box: iou.Box) -> list[float]:
    return [*box[:-4], *(round(side, 2) for side in box[-4:])]
