"""The groups that are kept of a step: which ones, and what is written of each sample."""

import math

import pytest
import torch

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

import transfer_queue as tq
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from vrft_aug.engine.run import rollouts_file
from vrft_aug.engine.training.rollout_rule import RolloutRule
from vrft_aug.engine.verl.kept_rollouts import RolloutKeeper
from vrft_aug.rewards import compose

SCORES = {"00002.0000": [1.0, 1.0], "00002.0001": [1.0, 0.1], "00002.0002": [0.1, 0.1], "00002.0003": [0.4, 0.1]}
LENGTHS = (3, 2)


class Letters:
    """A tokenizer whose tokens are the letters a, b, ..."""

    @staticmethod
    def decode(tokens: torch.Tensor, skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return "".join(chr(97 + int(token)) for token in tokens)


def sample(prompt: str, place: int, split: str) -> dict:
    length = LENGTHS[place]
    row = {"index": int(prompt[-4:]), "source_id": f"image-{prompt[-4:]}", "task": "classification",
           "classes": ["A", "B"], "prompt": "Which?", "knowledge": ["a ring", "a cross"]}  # fmt: skip
    found = {"responses": torch.arange(length), "rollout_log_probs": torch.full((length,), -1.0),
             "data_source": "toy", "reward_model": {"ground_truth": "B"}, "extra_info": row}  # fmt: skip
    if split == "train":
        found |= {"advantages": torch.full((length,), 0.5 - place), "old_log_probs": torch.full((length,), -0.7),
                  "ref_log_prob": torch.full((length,), -0.5)}  # fmt: skip
    return found


def results(scores: dict[str, list[float]]) -> dict[str, dict]:
    told = {"task": "classification", "prediction": "B", "rejected": "", "format": 1.0, "response_length": 9}
    return {f"{prompt}_{place}_0": told | {"score": score, "accuracy": score, "acc": float(score == 1)}
            for prompt, found in scores.items() for place, score in enumerate(found)}  # fmt: skip


@pytest.fixture
def keeper(tmp_path, monkeypatch):
    def get(keys, partition_id, select_fields):
        assert keys, "verl's queue refuses to look for nothing"
        samples = [sample(key.split("_")[0], int(key.split("_")[1]), partition_id) for key in keys]
        return list_of_dict_to_tensordict(samples).select(*select_fields, strict=False)

    monkeypatch.setattr(tq, "kv_batch_get", get)
    rule = RolloutRule(keep=True, followed=1, mixed=2, megabytes=1)
    return RolloutKeeper(rule, tmp_path, compose("accuracy"), Letters(), {"train": {2}, "val": {0, 3}})


def prompts(batch) -> list[str]:
    return [key.split("_")[0] for key in batch.keys]


def test_followed_prompts_and_the_most_mixed_are_kept_of_a_training_step(keeper):
    keeper.name(list(SCORES), [{"index": int(prompt[-4:])} for prompt in SCORES])
    chosen = keeper.choose("train", results(SCORES))
    assert prompts(chosen) == [name for name in ("00002.0002", "00002.0001", "00002.0003") for _ in range(2)]
    assert prompts(keeper.choose("train", results(SCORES)))[::2] == ["00002.0001", "00002.0003"]  # named once


def test_a_followed_prompt_that_dynamic_sampling_has_replaced_is_not_missed(keeper):
    keeper.name(["00002.0009"], [{"index": 2}])
    assert "00002.0009" not in prompts(keeper.choose("train", results(SCORES)))


def test_of_a_validation_the_followed_rows_are_kept(keeper):
    chosen = keeper.choose("val", results(SCORES))
    assert chosen.partition_id == "val" and prompts(chosen)[::2] == ["00002.0000", "00002.0003"]


def test_what_is_written_of_a_training_step(keeper):
    told = results(SCORES)
    chosen = keeper.choose("train", told)
    keeper.write(2, chosen, keeper.fields(chosen), told)
    first, second = rollouts_file.read(keeper.run, 2, "train")
    assert (first["prompt"], second["prompt"]) == ("00002.0001", "00002.0003")
    assert (first["followed"], first["index"], first["truth"], first["text"]) == (False, 1, "B", "Which?")
    assert first["knowledge"] == ["a ring", "a cross"] and first["classes"] == ["A", "B"]
    one, other = first["answers"]
    assert (one["response"], one["tokens"], other["response"]) == ("abc", 3, "ab")
    assert (one["score"], one["acc"], other["acc"]) == (1.0, 1.0, 0.0)
    assert [(part["name"], part["value"]) for part in other["parts"]] == [("accuracy", 0.1), ("format", 1.0)]
    assert [part["share"] for part in other["parts"]] == pytest.approx([0.09, 0.1])
    assert (one["advantage"], other["advantage"]) == (0.5, -0.5)
    apart = -0.5 + 0.7  # of the reference and the actor, not of vLLM's log-probabilities
    assert one["kl"] == pytest.approx(math.exp(apart) - apart - 1, rel=1e-5)


def test_a_validation_has_neither_advantages_nor_a_divergence_and_may_come_in_batches(keeper):
    for part in ({"00002.0000": [1.0]}, {"00002.0003": [0.1]}):
        told = results(part)
        chosen = keeper.choose("val", told)
        keeper.write(4, chosen, keeper.fields(chosen), told)
    found = rollouts_file.read(keeper.run, 4, "val")
    assert [group["index"] for group in found] == [0, 3] and all(group["followed"] for group in found)
    assert {(one["advantage"], one["kl"]) for group in found for one in group["answers"]} == {(None, None)}


def test_where_vllms_log_probabilities_replace_the_actors_they_are_compared(keeper):
    told = results({"00002.0001": [1.0, 0.1]})
    chosen = keeper.choose("train", told)
    fields = keeper.fields(chosen).exclude("old_log_probs")
    keeper.write(2, chosen, fields, told)
    apart = -0.5 + 1
    assert rollouts_file.read(keeper.run, 2, "train")[0]["answers"][0]["kl"] == pytest.approx(
        math.exp(apart) - apart - 1, rel=1e-5)  # fmt: skip


def test_a_full_disk_does_not_end_the_training(keeper, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rollouts_file, "write", full)
    told = results(SCORES)
    chosen = keeper.choose("train", told)
    keeper.write(2, chosen, keeper.fields(chosen), told)
    assert rollouts_file.steps(keeper.run) == []
