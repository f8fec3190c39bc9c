"""Checks that the samples of a prompt are next to each other in a batch, and that the buffer knows the objective."""

from types import SimpleNamespace

import pytest

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from reward_rows import RETINA, think
from verl.trainer.ppo.v1 import replay_buffer as of_verl
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from vrft_aug.configs import compose as composed
from vrft_aug.engine.training.group_filter import GroupFilter
from vrft_aug.engine.verl import scored_samples
from vrft_aug.engine.verl.replay_buffer import FAILED, RewardLoggingReplayBuffer
from vrft_aug.engine.verl.scored_samples import dealt, order
from vrft_aug.errors import InputError
from vrft_aug.rewards import compose, compute_score
from vrft_aug.rewards.diagnostics import warnings


def test_a_batch_is_in_the_order_of_its_prompts_and_samples_whenever_they_ended():
    ordered = [f"00007.{place:04}_{sample}_0" for place in (2, 10) for sample in (0, 2, 10)] + ["00008.0000_0_0"]
    keys = [ordered[place] for place in (4, 0, 6, 2, 5, 3, 1)]
    assert [keys[place] for place in order(keys)] == ordered
    assert order([]) == []


def test_whole_prompts_are_dealt_to_the_devices():
    keys = [f"00001.{prompt:04}_{sample}_0" for sample in range(2) for prompt in range(4)]
    tokens = [9, 1, 5, 5] * 2
    order_of_two = dealt(keys, tokens, 2)
    shares = [[keys[place] for place in order_of_two[:4]], [keys[place] for place in order_of_two[4:]]]
    assert sorted(shares[0] + shares[1]) == sorted(keys)
    prompts = [[key.split("_")[0][-1] for key in share] for share in shares]
    assert {tuple(one) for one in prompts} == {("0", "0", "1", "1"), ("2", "2", "3", "3")}, "ten tokens and ten"
    assert [keys[place] for place in dealt(keys, tokens, 1)] == sorted(keys)


def test_prompts_that_cannot_be_dealt_equally_stay_as_verl_has_them():
    keys = [f"00001.{prompt:04}_{sample}_0" for prompt in range(3) for sample in range(2)]
    assert dealt(keys, [5] * 6, 2) == []
    assert dealt(keys[:-1], [5] * 5, 1) == []


def built(*overrides: str) -> RewardLoggingReplayBuffer:
    """The buffer that verl builds from the config of recipes/grpo.py."""
    config = composed("grpo", list(overrides))
    trainer = SimpleNamespace(config=config, trainer_mode="sync", _add_prompts_to_generate=None)
    return PPOTrainer._build_replay_buffer(trainer)


def test_verl_gives_the_buffer_the_objective_of_the_run():
    buffer = built("objective=mfrs", "objective.grading.format.weight=0.05")
    assert type(buffer).__name__ == "RewardLoggingReplayBuffer"
    assert buffer._objective.main("grading") == ("mfrs",)
    assert {term.name: term.weight for term in buffer._objective.terms["grading"]} == {"format": 0.05, "mfrs": 0.9}
    assert built("objective=recite_neg")._objective == compose("recite_neg")


def test_the_buffer_samples_dynamically_where_the_variant_does():
    assert built()._filter is None
    assert built("variant=dapo")._filter == GroupFilter("score", most=10, at_once=1)


def test_a_buffer_without_an_objective_is_refused():
    with pytest.raises(InputError, match=r"^objective: it must say what to reward for each task"):
        built("~trainer.v1.sampler.sampler_kwargs.objective")


@pytest.mark.parametrize("failed", [0, 2])
def test_prompts_of_which_a_sample_failed_are_counted_and_warned_of(monkeypatch, failed):
    """verl's own code reads the queue, a stand-in: three prompts of two samples, the last of some of them missing."""
    prompts = [f"00001.{number:04}" for number in range(3)]
    queue = {name: {"is_prompt": True, "global_steps": 1, "status": "failure" if number < failed else "finished"}
             for number, name in enumerate(prompts)}  # fmt: skip
    queue |= {f"{name}_{sample}_0": {"status": "success"} for number, name in enumerate(prompts)
              for sample in range(1 if number < failed else 2)}  # fmt: skip
    monkeypatch.setattr(of_verl.tq, "kv_list", lambda: {"train": queue})
    monkeypatch.setattr(of_verl.tq, "kv_clear", lambda partition_id, keys: None)
    scored = compute_score("d", think(r"\boxed{2}"), "2", RETINA, "mfrs")
    monkeypatch.setattr(scored_samples, "results", lambda batch: [scored] * len(batch.keys))
    batch, metrics = built("objective=mfrs").sample(1, "train", 3)
    assert len(batch.keys) == 6 - failed and metrics[FAILED] == failed
    assert [line for line in warnings(metrics) if "failed" in line] == (
        ["rollout/failed_prompts is 2, above 0: samples of these prompts ended with an error, which log.txt names, "
         "and are missing"] if failed else [])  # fmt: skip
