"""The box that supervised training teaches is the box that the reward pays in full, in every image and frame."""

from dataclasses import replace

import numpy as np
import pytest
from toy_data import compose_config

from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation.opening import open_all
from vrft_aug.data.rows.composer import Composer
from vrft_aug.data.settings import Dataset, Policy, PreparationRule, Prompt
from vrft_aug.rewards import compose, compute_score

SHAPES = {(28, 28): (5, 7, 19, 22), (600, 450): (13, 101, 377, 449), (2500, 2048): (1201, 7, 2499, 1999)}
CONFIG = compose_config("prompt=localize")
LABEL = {"accuracy": {"weight": 1.0}}
EXACT = {"classification": LABEL, "grading": LABEL, "question": LABEL,
         "localization": {"iou": {"weight": 1.0, "threshold": None}},
         "detection": {"boxes": {"weight": 1.0, "threshold": None}}}  # fmt: skip


@pytest.mark.parametrize("frame", ["resized", "thousand"])
@pytest.mark.parametrize("bounds", [(3136, 50176), (262144, 1003520)], ids=str)
@pytest.mark.parametrize("size", SHAPES, ids=str)
def test_a_perfect_supervised_box_is_paid_in_full(size, bounds, frame):
    policy = replace(Policy.of(CONFIG.policy), min_pixels=bounds[0], max_pixels=bounds[1], box_frame=frame)
    composer = Composer(Dataset.of(CONFIG.dataset), Prompt.of(CONFIG.prompt), policy, PreparationRule.of(CONFIG), [])
    pixels = np.zeros(size[::-1], np.uint8)
    row = composer.rl(Sample(pixels, 0, "1", "1", SHAPES[size]), open_all([pixels])[0], "train", 0)
    taught = composer.sft(row)["messages"][-1]["content"]
    scored = [compute_score("toy", taught, row["reward_model"]["ground_truth"], row["extra_info"], objective)
              for objective in ("iou", compose(compose_config("objective=iou").objective))]  # fmt: skip
    assert [score["score"] for score in scored] == [1.0, 1.0], "IoU and format"
    overlap = compute_score("toy", taught, row["reward_model"]["ground_truth"], row["extra_info"], EXACT)["iou"]
    assert overlap > 0.95, f"{taught}: only rounding to whole units may cost something"


@pytest.mark.parametrize("boxes", [(), ((1201, 7, 2499, 1999), (3, 5, 400, 380))], ids=len)
def test_a_perfect_supervised_list_of_boxes_is_paid_in_full(boxes):
    config = compose_config("prompt=localize_all")
    composer = Composer(Dataset.of(config.dataset), Prompt.of(config.prompt), Policy.of(config.policy),
                        PreparationRule.of(config), [])  # fmt: skip
    pixels = np.zeros((2048, 2500), np.uint8)
    row = composer.rl(Sample(pixels, 0, "1", "1", boxes=boxes), open_all([pixels])[0], "train", 0)
    taught, truth = composer.sft(row)["messages"][-1]["content"], row["reward_model"]["ground_truth"]
    assert truth == str([[*map(float, box)] for box in boxes[::-1]]), "from top to bottom"
    assert taught.startswith("<think>I look for each lesion and mark its edges.</think> <answer>[")
    assert compute_score("toy", taught, truth, row["extra_info"], "boxes")["score"] == 1.0
    assert compute_score("toy", taught, truth, row["extra_info"], EXACT)["boxes"] > 0.85, "112 x 112 pixels are coarse"
