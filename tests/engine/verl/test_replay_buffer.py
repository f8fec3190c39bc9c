"""Checks that the samples of a prompt are next to each other in a batch, and that the buffer knows the objective."""

from types import SimpleNamespace

import pytest

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from vrft_aug.configs import compose as composed
from vrft_aug.engine.verl.replay_buffer import RewardLoggingReplayBuffer, _by_prompt
from vrft_aug.errors import InputError
from vrft_aug.rewards import compose


def test_the_samples_of_a_prompt_are_together_in_their_order_of_arrival():
    keys = ["b_0_0", "b_2_0", "a_1_0", "b_1_0", "c_0_0", "a_0_0"]
    assert [keys[place] for place in _by_prompt(keys)] == ["b_0_0", "b_2_0", "b_1_0", "a_1_0", "a_0_0", "c_0_0"]
    assert _by_prompt([]) == []


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


def test_a_buffer_without_an_objective_is_refused():
    with pytest.raises(InputError, match=r"^objective: it must say what to reward for each task"):
        built("~trainer.v1.sampler.sampler_kwargs.objective")
