"""Rows with two and four images: marks, views, sizes, boxes that say which image they are in, sheets and exports."""

import json
from dataclasses import replace

import numpy as np
import pytest
from toy_data import compose_config, toy_dataset

from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation.opening import open_all
from vrft_aug.data.prompts.rendering import chat_parts, divided
from vrft_aug.data.rows import contact_sheet
from vrft_aug.data.rows.composer import Composer
from vrft_aug.data.rows.exports import easyr1, trl
from vrft_aug.data.settings import Dataset, Policy, PreparationRule, Prompt
from vrft_aug.errors import InputError
from vrft_aug.rewards import compute_score

SIZES = ((60, 45), (300, 41), (120, 120), (56, 84))  # width, height
BOX = (20, 10, 50, 40)


def composer(prompt="names", images=2, views=(), **changes):
    config = compose_config(f"prompt={prompt}")
    dataset = toy_dataset(images=images, views=list(views))
    policy = replace(Policy.of(config.policy), min_pixels=3136, max_pixels=50176)
    return Composer(dataset, replace(Prompt.of(config.prompt), **changes), policy, PreparationRule.of(config), [])


def sample(number=2, **facts):
    images = [np.full((height, width), 40 * at, np.uint8) for at, (width, height) in enumerate(SIZES[:number])]
    return Sample(images[0], 1, "1", "1", more=images[1:], **facts)


def row_of(one, made):
    opened = open_all([one.image, *one.more])
    return made.rl(one, opened[0], "train", 0, opened[1:])


@pytest.mark.parametrize("number", [2, 3, 4])
def test_one_mark_and_one_size_per_image(number):
    row = row_of(sample(number), composer(images=4))
    content, info = row["prompt"][0]["content"], row["extra_info"]
    assert content.startswith("<image>" * number + "These are medical images of tissue.")
    assert "based on the images." in content and len(row["images"]) == number
    assert info["image_size"] == [side for size in SIZES[:number] for side in size]
    assert info["frame_size"] == [56, 56, 308, 28, 112, 112, 56, 84][: 2 * number]
    assert content == "<image>" * number + info["prompt"]


def test_one_image_is_asked_about_as_ever():
    alone = sample(1)
    assert row_of(alone, composer(images=4)) == row_of(alone, composer(images=1))
    assert "This is a medical image of tissue." in row_of(alone, composer(images=4))["prompt"][0]["content"]


def test_views_are_named_in_the_prompt():
    views = ["frontal view", "lateral view"]
    row = row_of(sample(2), composer(views=views))
    content = row["prompt"][0]["content"]
    assert content.startswith("frontal view: <image>\nlateral view: <image>\nThese are")
    assert divided(content) == ("frontal view: <image>\nlateral view: <image>\n", row["extra_info"]["prompt"])
    assert [part["type"] for part in chat_parts(content)] == ["text", "image", "text", "image", "text"]
    second = row_of(sample(2), composer(views=views, shown=[2]))
    assert second["prompt"][0]["content"].startswith("lateral view: <image>\nThis is a medical image")
    asked = trl(row)["prompt"][0]["content"]
    assert asked.startswith("The images are, in this order: frontal view, lateral view.\nThese")
    assert easyr1(row)["problem"] == content and len(easyr1(row)["images"]) == 2


def test_a_prompt_may_show_some_of_the_images():
    whole, second = (row_of(sample(2), composer(**shown)) for shown in ({}, {"shown": [2]}))
    assert [*second["images"]] == [whole["images"][1]] and second["extra_info"]["image_size"] == [300, 41]
    assert second["prompt"][0]["content"].startswith("<image>This is a medical image")
    with pytest.raises(InputError, match="1 images, and prompt=names shows others"):
        row_of(sample(1), composer(shown=[2]))
    with pytest.raises(InputError, match=r"3 images, but dataset\.images=2"):
        row_of(sample(3), composer())


@pytest.mark.parametrize("which", [0, 1])
def test_a_box_says_which_image_it_is_in(which):
    facts = {"box": (20, 10, 50, 40), "box_image": which}
    made = composer("localize")
    row = row_of(sample(2, **facts), made)
    info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
    assert json.loads(truth) == info["box"] or json.loads(truth) == [*map(float, info["box"])]
    assert json.loads(truth) == [which + 1, 20, 10, 50, 40]
    asked = "[image, x1, y1, x2, y2], where image is the number of the image that shows it, from 1 to 2"
    assert asked in info["prompt"]
    taught = made.sft(row)["messages"][-1]["content"]
    assert compute_score("toy", taught, truth, info, "iou")["score"] == 1.0
    stated = json.loads(taught.split("<answer>")[1].split("</answer>")[0])
    other = taught.replace(str(stated), str([2 - which, *stated[1:]]))
    found = compute_score("toy", other, truth, info, "iou")
    assert (found["acc"], found["rejected"]) == (0.0, ""), "the same box in the other image"
    for wrong in ([*stated[1:]], [7, *stated[1:]], [0, *stated[1:]], [1.5, *stated[1:]]):
        assert compute_score("toy", f"<think>a</think><answer>{wrong}</answer>", truth, info, "iou")["acc"] == 0.0


def test_a_box_must_fit_its_own_image_and_be_shown():
    with pytest.raises(InputError, match="does not fit the image of 300 x 41"):
        row_of(sample(2, box=(0, 0, 60, 45), box_image=1), composer("localize"))
    with pytest.raises(InputError, match="its box is in an image that prompt=localize does not show"):
        row_of(sample(2, box=BOX, box_image=1), composer("localize", shown=[1]))


def test_all_boxes_of_all_images_are_matched_within_their_image():
    made = composer("localize_all", images=4)
    facts = {"boxes": [BOX, (1, 2, 30, 40), (200, 3, 290, 39)], "boxes_image": [0, 3, 1]}
    row = row_of(sample(4, **facts), made)
    info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
    assert json.loads(truth) == [[1, *BOX], [2, 200, 3, 290, 39], [4, 1, 2, 30, 40]]
    assert "[[image, x1, y1, x2, y2], ...]" in info["prompt"] and "from 1 to 4" in info["prompt"]
    taught = made.sft(row)["messages"][-1]["content"]
    assert compute_score("toy", taught, truth, info, "boxes")["score"] == 1.0
    moved = taught.replace("[4,", "[3,")
    assert 0 < compute_score("toy", moved, truth, info, "boxes")["boxes"] < 1
    nothing = row_of(sample(2, boxes=()), composer("localize_all"))
    assert nothing["reward_model"]["ground_truth"] == "[]"


def test_the_contact_sheet_shows_each_image_with_its_boxes():
    facts = {"box": BOX, "box_image": 1}
    sheet = contact_sheet.render([row_of(sample(2, **facts), composer("localize"))], columns=1)
    assert sheet.width == 2 * contact_sheet.TILE
    red = (np.asarray(sheet)[: contact_sheet.TILE] == (255, 0, 0)).all(-1)
    left, right = red[:, : contact_sheet.TILE].any(), red[:, contact_sheet.TILE :].any()
    assert (left, right) == (False, True)


@pytest.mark.parametrize(("changes", "message"), [
    ({"images": 0}, r"dataset\.images=0"), ({"images": 2, "views": ["a"]}, "must be 2 different texts"),
    ({"images": 2, "views": ["a", "a"]}, "must be 2 different texts"),
    ({"views": "front"}, "must be 1 different texts"),
])  # fmt: skip
def test_settings_of_the_data_set_are_checked(changes, message):
    with pytest.raises(InputError, match=message):
        toy_dataset(**changes)


@pytest.mark.parametrize("shown", ["[]", "[0]", "[2,1]", "[1,1]", "1"])
def test_settings_of_the_prompt_are_checked(shown):
    with pytest.raises(InputError, match=r"prompt\.shown="):
        Prompt.of(compose_config(f"prompt.shown={shown}").prompt)


def test_a_pretext_is_about_the_first_image():
    config = compose_config("prompt=rotation", "dataset=phantom_views")
    made = Composer(Dataset.of(config.dataset), Prompt.of(config.prompt), Policy.of(config.policy),
                    PreparationRule.of(config), [])  # fmt: skip
    assert len(row_of(sample(2), made)["images"]) == 1
    with pytest.raises(InputError, match="is about the first image"):
        Prompt.of(compose_config("prompt=rotation", "prompt.shown=[2]").prompt)
