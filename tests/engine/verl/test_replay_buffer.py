"""Checks that the samples of a prompt are next to each other in a batch."""

import pytest

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from vrft_aug.engine.verl.replay_buffer import _by_prompt


def test_the_samples_of_a_prompt_are_together_in_their_order_of_arrival():
    keys = ["b_0_0", "b_2_0", "a_1_0", "b_1_0", "c_0_0", "a_0_0"]
    assert [keys[place] for place in _by_prompt(keys)] == ["b_0_0", "b_2_0", "b_1_0", "a_1_0", "a_0_0", "c_0_0"]
    assert _by_prompt([]) == []
