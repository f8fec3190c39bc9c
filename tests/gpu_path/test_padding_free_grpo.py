"""GRPO end to end on a CPU with the settings of a GPU: no padding, flash-attn's stand-in, checkpointing, fused kernels.

vLLM, Ray and FSDP are real. The same two steps run once more with the settings of a CPU, and both must say the same.
"""

import json
from pathlib import Path

import pytest
from without_gpu import RECORD, STAND_IN, environment, run

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from vrft_aug.experiments.gpu_check.start import tied_tiny

pytestmark = pytest.mark.slow

SMALL = ["dataset=phantom", "prompt=knowledge", "dataset.loader.train=16", "dataset.loader.val=8",
         "dataset.loader.test=8"]  # fmt: skip
STEPS = ["schedule.batch_size=4", "schedule.mini_batch_size=4", "trainer.total_training_steps=2", "trainer.save_freq=2",
         "trainer.test_freq=-1", "trainer.val_before_train=false", "hardware.reuse_log_probs=false"]  # fmt: skip
GPU = ["hardware.remove_padding=true", "hardware.attention=flash_attention_2", "hardware.gradient_checkpointing=true",
       "hardware.use_fused_kernels=true", "hardware.reshard_after_forward=true"]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """The folder of two runs from the same tied policy, rows and seed, `cpu` and `gpu`."""
    folder = tmp_path_factory.mktemp("padding_free_grpo")
    policy, used = tied_tiny(folder / "start"), folder / "used"
    used.mkdir()
    run("recipes/prepare.py", *SMALL, f"out={folder / 'rows'}", env=environment())
    common = [*SMALL, *STEPS, f"policy.path={policy}", f"parquet={folder / 'rows'}"]
    run("recipes/grpo.py", *common, f"out={folder / 'cpu'}", env=environment())
    run("recipes/grpo.py", *common, *GPU, f"out={folder / 'gpu'}", env=environment(STAND_IN, **{RECORD: str(used)}))
    assert (used / "flash_attn_varlen_func").exists(), "the workers have not used flash-attn"
    return folder


def steps(run: Path) -> list[dict[str, float]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [record["data"] for record in sorted(map(json.loads, lines), key=lambda record: record["step"])]


def test_the_run_has_the_settings_of_a_gpu(runs):
    from omegaconf import OmegaConf

    model = OmegaConf.load(runs / "gpu" / "config.yaml").actor_rollout_ref.model
    assert model.use_remove_padding and model.use_fused_kernels and model.enable_gradient_checkpointing
    assert model.override_config.attn_implementation == "flash_attention_2"


@pytest.mark.parametrize("settings", ["cpu", "gpu"])
def test_vllm_and_the_actor_agree(runs, settings):
    """The actor computes the probability of each sampled token anew; float32 leaves differences of about 1e-6."""
    found = steps(runs / settings)
    assert len(found) == 2
    for metrics in found:
        assert metrics["training/rollout_probs_diff_max"] < 1e-4
        assert metrics["training/rollout_actor_probs_pearson_corr"] > 0.999


@pytest.mark.parametrize("metric", ["critic/score/mean", "response_length/mean", "actor/pg_loss", "actor/grad_norm",
                                    "actor/entropy", "actor/kl_loss", "actor/ppo_kl"])  # fmt: skip
def test_the_first_step_is_that_of_a_run_with_padding(runs, metric):
    """The same policy and seed sample the same responses; then one update moves both policies alike."""
    with_padding, without = (steps(runs / name)[0] for name in ("cpu", "gpu"))
    assert without[metric] == pytest.approx(with_padding[metric], rel=1e-3, abs=1e-5)


def test_both_runs_train_the_same_policy(runs):
    """AdamW's first updates are about the learning rate for every weight, whatever its gradient: 2 x 1e-4 here."""
    from safetensors.torch import load_file

    start, cpu, gpu = (
        load_file(runs / folder / "model.safetensors") for folder in ("start", "cpu/policy", "gpu/policy")
    )
    assert cpu.keys() == gpu.keys() and "lm_head.weight" not in gpu
    moved = sum(float((cpu[name].float() - start[name].float()).abs().sum()) for name in cpu)
    apart = sum(float((cpu[name].float() - gpu[name].float()).abs().sum()) for name in cpu)
    assert moved > 0 and apart < 0.1 * moved
