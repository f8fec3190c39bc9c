"""A training that cannot be what was asked for is refused: another recipe's experiment, wrong batches, wrong freeze."""

import numpy as np
import pytest
from repository import composed
from safetensors.numpy import save_file

from vrft_aug.engine.run.preflight import check_batches
from vrft_aug.engine.training.start_checks import check_freeze, check_parts, check_recipe, check_rows_fit
from vrft_aug.errors import InputError


@pytest.mark.parametrize(("recipe", "experiment", "remedy"), [
    ("sft", "v_rft", "trains with grpo, and this is recipes/sft.py; run recipes/grpo.py"),
    ("grpo", "v_sft_pa_p", "trains with sft, and this is recipes/grpo.py; run recipes/sft.py"),
    ("grpo", "v_sft_v_rft", "is a pipeline of v_sft_start, v_rft_mfrs, and this is recipes/grpo.py; run make v_sft"),
    ("grpo", "zero_shot", "trains nothing, and this is recipes/grpo.py; run recipes/evaluate.py"),
])  # fmt: skip
def test_the_experiment_of_another_recipe_is_refused(recipe, experiment, remedy):
    with pytest.raises(InputError, match=f"experiment={experiment} {remedy}"):
        check_recipe(composed(recipe, f"experiment={experiment}"), recipe)


@pytest.mark.parametrize(("recipe", "chosen"), [
    ("sft", "experiment=v_sft"), ("grpo", "experiment=v_rft_pa_p"), ("sft", "preset=warm_start"),
    ("grpo", "preset=debug"),
])  # fmt: skip
def test_its_own_experiments_and_presets_pass(recipe, chosen):
    check_recipe(composed(recipe, chosen), recipe)


@pytest.mark.parametrize(("recipe", "overrides", "reason"), [
    ("sft", ["experiment=v_sft_pa_pi", "hardware=node_8x80g"],
     r"data.train_batch_size=4: 8 devices cannot share 4 samples equally; a multiple of 8 is needed; set schedule"),
    ("sft", ["schedule.batch_size=0"], "data.train_batch_size=0: 1 devices cannot share 0 samples"),
    ("grpo", ["hardware.devices_per_node=3", "schedule.batch_size=32"],
     "data.train_batch_size=32: 3 devices cannot share 256 samples equally; a multiple of 3 is needed"),
    ("grpo", ["hardware.devices_per_node=16", "schedule.batch_size=4", "schedule.mini_batch_size=1"],
     "ppo_mini_batch_size=1: 16 devices cannot share 8 samples equally; a multiple of 2 is needed"),
    ("grpo", ["schedule.batch_size=32", "schedule.mini_batch_size=24"],
     "ppo_mini_batch_size=24 must divide data.train_batch_size=32; set schedule"),
    ("grpo", ["actor_rollout_ref.rollout.n=-1"], r"rollout.n=-1: 1 or more responses per prompt"),
])  # fmt: skip
def test_batches_that_the_devices_cannot_share_are_refused(recipe, overrides, reason):
    with pytest.raises(InputError, match=reason):
        check_batches(composed(recipe, *overrides))


@pytest.mark.parametrize(("recipe", "hardware", "experiment"), [
    ("grpo", "cpu", "v_rft"), ("grpo", "gpu_2x80g", "v_rft_pa_pi"), ("grpo", "node_8x80g", "v_rft_pa_pi"),
    ("sft", "gpu_2x80g", "v_sft_pa_pi"), ("grpo", "multi_node", "v_rft_pa_p"),
])  # fmt: skip
def test_the_experiments_fit_their_machines(recipe, hardware, experiment):
    check_batches(composed(recipe, f"hardware={hardware}", f"experiment={experiment}", "policy=qwen2_5_vl_3b"))


def test_boxes_are_not_balanced():
    with pytest.raises(InputError, match=r"schedule.balanced=true: boxes have no classes to balance"):
        check_rows_fit(composed("grpo", "experiment=v_rft_pa_pi", "schedule.balanced=true"), ["rows/train.parquet"])


@pytest.mark.parametrize(("recipe", "overrides", "reason"), [
    ("grpo", ["freeze=all"], r"freeze=all: must be one of none, vision, vision\+merger, language; the rest"),
    ("sft", ["freeze=vision+language"], r"freeze=vision\+language: must be one of none, vision, vision\+merger, "),
    ("sft", ["freeze=language", "hardware.lora_rank=8"],
     "freeze=language: with hardware.lora_rank=8 only the language model has adapters, so nothing would be trained; "
     "set hardware.lora_rank=0, or freeze=vision"),
    ("grpo", ["freeze=language", "hardware.lora_rank=8"], "with hardware.lora_rank=8 only the language model has"),
    ("grpo", ["freeze=vision", "hardware.strategy=fsdp"],
     "freeze=vision: strategy=fsdp cannot train a part of a policy; set hardware.strategy=fsdp2"),
    ("grpo", ["actor_rollout_ref.actor.freeze_vision_tower=true"],
     "freeze_vision_tower=true: verl never reads it; set freeze=vision"),
])  # fmt: skip
def test_a_freeze_that_cannot_be_is_refused(recipe, overrides, reason):
    with pytest.raises(InputError, match=reason):
        check_freeze(composed(recipe, *overrides))


@pytest.mark.parametrize("recipe", ["grpo", "sft"])
@pytest.mark.parametrize("overrides", [
    ["freeze=none"], ["freeze=vision"], ["freeze=vision+merger"], ["freeze=language"], ["hardware.strategy=fsdp"],
    ["freeze=vision", "hardware.lora_rank=8"], ["freeze=none", "hardware.lora_rank=8"],
])  # fmt: skip
def test_any_other_freeze_passes(recipe, overrides):
    check_freeze(composed(recipe, *overrides))


def test_a_policy_without_a_known_vision_tower_freezes_nothing(tmp_path):
    save_file({"vision_tower.layer.weight": np.zeros(3, np.float32)}, tmp_path / "model.safetensors")
    check_parts("none", str(tmp_path))
    with pytest.raises(InputError, match=r"freeze=vision: .* has no weights named visual\.\*, .*; leave freeze out"):
        check_parts("vision", str(tmp_path))
    save_file({"visual.blocks.0.attn.qkv.weight": np.zeros(3, np.float32)}, tmp_path / "model.safetensors")
    check_parts("vision", str(tmp_path))


def test_questions_are_not_balanced():
    with pytest.raises(InputError, match=r"schedule.balanced=true: each question has options of its own"):
        check_rows_fit(composed("grpo", "dataset=slake", "schedule.balanced=true"), ["rows/train.parquet"])
