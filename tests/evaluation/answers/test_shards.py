"""Checks that several engines answer each row once and in order, and that one device starts no other process."""

import json
import os

import pytest
from omegaconf import DictConfig, OmegaConf
from repository import composed

from vrft_aug.data.settings import Policy
from vrft_aug.evaluation.answers import shards


class Toy:
    """Answers with what it was given: the prompt, the image, its devices, its seed and its process."""

    def __init__(self, path, policy, hardware, sampling, seed, images):
        self.seed = seed

    at_once = 2

    def answer(self, prompts, images, say):
        devices = os.environ.get("CUDA_VISIBLE_DEVICES")
        rest = [devices, self.seed, os.getpid()]
        pairs = zip(prompts, images, strict=True)
        return [[(json.dumps([prompt, image.decode(), *rest]), 1)] for prompt, image in pairs]

    def class_probabilities(self, prompts, images, responses, classes):
        assert len(prompts) == len(images) == len(responses) == len(classes)
        return [[float(len(names)), float(json.loads(text)[4] == os.getpid())]
                for names, text in zip(classes, responses, strict=True)]  # fmt: skip


class Broken(Toy):
    def answer(self, prompts, images, say):
        raise ValueError(f"cannot answer {prompts[0]}")


def hardware(devices: int, tensor_parallel: int = 1) -> DictConfig:
    return OmegaConf.create({"devices_per_node": devices, "vllm": {"tensor_parallel": tensor_parallel}})


def answers(number: int, machine: DictConfig, make: type = Toy, said: list | None = None) -> list[list]:
    policy = Policy.of(composed("evaluate").policy)
    prompts, images = [f"p{row}" for row in range(number)], [f"i{row}".encode() for row in range(number)]
    with shards.generator("path", policy, machine, OmegaConf.create({}), 7, make) as generator:
        found = list(generator.answer(prompts, images, [].append if said is None else said.append))
    return [json.loads(texts[0][0]) for texts in found]


def test_one_device_answers_in_this_process():
    assert {row[4] for row in answers(3, hardware(1))} == {os.getpid()}
    assert {row[4] for row in answers(3, hardware(2, tensor_parallel=2))} == {os.getpid()}


def test_every_row_is_answered_once_in_order_by_the_device_of_its_range(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    monkeypatch.setattr(shards, "CHUNK", 2)
    said: list[str] = []
    found = answers(7, hardware(2), said=said)
    assert [row[:2] for row in found] == [[f"p{row}", f"i{row}"] for row in range(7)]
    first, second = ["4", 7], ["6", 8]
    assert [row[2:4] for row in found] == [first] * 2 + [second] * 2 + [first] + [second] * 2
    assert len({row[4] for row in found} | {os.getpid()}) == 3
    assert said == ["answered 4 of 7", "answered 7 of 7"]


def test_the_process_that_answered_a_row_gives_its_class_probabilities(monkeypatch):
    monkeypatch.setattr(shards, "CHUNK", 4)
    policy, names = Policy.of(composed("evaluate").policy), [["a"] * (1 + row % 3) for row in range(7)]
    with shards.generator("path", policy, hardware(2), OmegaConf.create({}), 7, Toy) as generator:
        assert generator.at_once == 8
        prompts, images = [f"p{row}" for row in range(7)], [b"i"] * 7
        responses = [texts[0][0] for texts in generator.answer(prompts, images, [].append)]
        found = generator.class_probabilities(prompts, images, responses, names)
    assert found == [[float(len(of_row)), 1.0] for of_row in names]


def test_fewer_rows_than_devices():
    assert [row[0] for row in answers(1, hardware(2))] == ["p0"]


def test_an_error_of_one_process_ends_the_evaluation():
    with pytest.raises(ValueError, match="cannot answer p"):
        answers(2, hardware(2), Broken)


@pytest.mark.parametrize(("number", "size", "groups"), [
    (8, 2, [["0", "1"], ["2", "3"], ["4", "5"], ["6", "7"]]), (3, 2, [["0", "1"]]), (1, 1, [["0"]]),
])  # fmt: skip
def test_tensor_parallel_devices_stay_together(number, size, groups, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert shards.device_groups(hardware(number, size)) == groups


@pytest.mark.parametrize(("rows", "parts"), [(0, 3), (1, 3), (7, 2), (256, 8), (10, 3)])
def test_ranges_cover_all_rows(rows, parts):
    found = shards.ranges(rows, parts)
    assert [row for part in found for row in part] == list(range(rows)) and len(found) == parts
    assert max(map(len, found)) - min(map(len, found)) <= 1
