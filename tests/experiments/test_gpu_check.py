"""Checks what the GPU check concludes from planted faults, its page, its refusals, and the policies it starts from."""

import json
import math
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from repository import ROOT, composed
from without_gpu import environment

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from vrft_aug.data.settings import Policy
from vrft_aug.errors import InputError
from vrft_aug.experiments.gpu_check import check, judgements, sheet, start, trials

GPU = SimpleNamespace(vllm=SimpleNamespace(sleep=True), dtype="bfloat16", lora_rank=0)
FREED = "INFO [gpu_worker.py:182] Sleep mode freed {} GiB memory, 3.10 GiB memory is still in use.\n"


def steps(number: int = 3, **changes: float) -> dict[int, dict[str, float]]:
    """What a healthy run logs. changes: of every step, by the metric's last part."""
    healthy = {"training/rollout_probs_diff_max": 0.08, "training/rollout_probs_diff_mean": 0.002,
               "rollout_corr/k3_kl": 1e-4, "actor/kl_loss": 0.05, "actor/grad_norm": 0.5}  # fmt: skip
    one = {name: changes.get(name.rpartition("/")[2], value) for name, value in healthy.items()}
    return {step: dict(one) for step in range(1, number + 1)}


def test_a_healthy_run_has_no_problem():
    log = "resume from global_step_2\n" + 4 * FREED.format("55.20")
    found = [judgements.agreement(steps(), "bfloat16"), judgements.arrival(steps()), judgements.sleep(log, GPU, 60),
             judgements.gradients(steps()), judgements.resumption(steps(), log)]  # fmt: skip
    assert [one.ok for one in found] == [True] * 5


@pytest.mark.parametrize(("fault", "dtype"), [
    ({"rollout_probs_diff_max": 0.3}, "bfloat16"), ({"rollout_probs_diff_mean": 0.02}, "bfloat16"), ({}, "float32"),
    ({"rollout_probs_diff_max": math.nan}, "bfloat16"),
])  # fmt: skip
def test_probabilities_that_differ_are_a_problem(fault, dtype):
    assert judgements.agreement(steps(**fault), dtype).ok is False


def test_probabilities_that_nobody_logged_are_a_problem():
    assert judgements.agreement({1: {}}, "bfloat16").ok is False and judgements.agreement({}, "bfloat16").ok is False


@pytest.mark.parametrize("fault", [{"k3_kl": 0.05}, {"k3_kl": math.nan}, {"k3_kl": 0.0, "kl_loss": 0.0}])
def test_a_rollout_with_the_old_weights_is_a_problem(fault):
    """Then rollout and actor are as far apart as reference and actor."""
    assert judgements.arrival(steps(**fault)).ok is False


@pytest.mark.parametrize("log", [
    "", FREED.format("55.20"), 3 * FREED.format("20.00"), FREED.format("55.20") + 2 * FREED.format("49.00"),
])  # fmt: skip
def test_memory_that_does_not_come_back_is_a_problem(log):
    assert judgements.sleep(log, GPU, 60).ok is False


def test_a_profile_without_sleep_is_not_judged():
    assert judgements.sleep("", SimpleNamespace(vllm=SimpleNamespace(sleep=False)), 60).ok is None


@pytest.mark.parametrize("norm", [math.nan, math.inf, 0.0])
def test_a_gradient_that_is_no_number_is_a_problem(norm):
    assert judgements.gradients(steps(grad_norm=norm)).ok is False


@pytest.mark.parametrize(("number", "log"), [(2, "from global_step_2"), (3, "training from scratch")])
def test_a_run_that_began_anew_is_a_problem(number, log):
    assert judgements.resumption(steps(number), log).ok is False


@pytest.mark.parametrize(("ranks", "ok"), [(16, True), (8, False)])
def test_a_node_that_sits_idle_is_a_problem(tmp_path, ranks, ok):
    part = tmp_path / "checkpoints" / "global_step_3" / "actor"
    part.mkdir(parents=True)
    (part / "fsdp_config.json").write_text(json.dumps({"world_size": ranks}))
    assert judgements.devices(tmp_path, 16).ok is ok


def test_no_checkpoint_is_a_problem(tmp_path):
    assert judgements.devices(tmp_path, 1).ok is False


@pytest.mark.parametrize(("names", "ok"), [(["q.weight"], True), (["q.weight", "q.lora_A.weight"], False), ([], False)])
def test_adapters_beside_the_weights_are_a_problem(tmp_path, names, ok):
    import torch
    from safetensors.torch import save_file

    (tmp_path / "lora" / "policy").mkdir(parents=True)
    save_file({name: torch.zeros(1) for name in names}, tmp_path / "lora" / "policy" / "model.safetensors")
    assert judgements.export(tmp_path, GPU).ok is ok


def test_the_page_has_every_number(tmp_path):
    (tmp_path / "grpo").mkdir()
    timed = {"timing_s/gen": 10.0, "timing_s/step": 42.0, "perf/throughput": 1500.4, "perf/time_per_step": 42.0,
             "perf/mfu/actor": 0.081, "actor/perf/max_memory_allocated_gb": 43.2,
             "actor/perf/cpu_memory_used_gb": 77.0}  # fmt: skip
    lines = [json.dumps({"step": step, "data": {**timed, "timing_s/gen": 10.0 * step}}) for step in (1, 2, 3)]
    (tmp_path / "grpo" / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    found = [judgements.Finding("a", "b", "c", False), judgements.Finding("d", "e", "", None)]
    memory = SimpleNamespace(phases={"training": {"weights": 40.0, "logits": 4.0, "processes": 2.0}})
    hardware = composed("grpo", "hardware=gpu_2x80g", "hardware.vllm.memory_fraction=0.6").hardware
    page = sheet.Page([("device", "NVIDIA H100")], "ok       cores   16", found, {"GRPO": 99.4}, memory, hardware, "3B")
    text = sheet.markdown(page, tmp_path)
    assert "| **no** | a | b | c |" in text and "| – | d | e |  |" in text
    assert "| allocated for the training, at most | 43.2 | 44.0 |" in text
    assert "| 20.0 | 0.0 | 0.0 | 0.0 | 0.0 | 42.0 |" in text  # of step 2
    assert "| 3B | 2 * NVIDIA H100 | AMP | 32768 tokens | 0.6 | 1 | 77GB | 43GB | 1500 | 42s | 8.1% |" in text
    assert "ok       cores   16" in text


@pytest.mark.parametrize(("hardware", "names"), [
    ("gpu_2x80g", ["rows", "V-SFT", "GRPO", "GRPO, resumed", "LoRA", "answers"]),
    ("gpu_1x24g", ["rows", "V-SFT", "GRPO", "GRPO, resumed", "answers"]),
])  # fmt: skip
def test_every_trial_is_composed_with_the_profile(hardware, names):
    """Each command is one that its recipe accepts; the pass for old log-probabilities is on."""
    config = composed("gpu_check", f"hardware={hardware}", "out=/tmp/check")
    given = (f"hardware={hardware}", "policy=qwen2_5_vl_3b", "hardware.max_tokens_per_device=8192")
    found = trials.Trials.of(config, given, "/tmp/start").stages
    assert [stage.name for stage in found] == names
    for stage in found:
        whole = composed(stage.recipe, *stage.overrides)
        assert (whole.hardware.name, whole.hardware.max_tokens_per_device) == (hardware, 8192)
        if stage.recipe == "grpo":
            assert not whole.hardware.skip_old_log_probs and whole.data.train_batch_size == 16


def test_a_folder_with_files_is_refused(tmp_path):
    (tmp_path / "gpu_check.md").write_text("an earlier page")
    with pytest.raises(InputError, match="not empty"):
        check._refuse(composed("gpu_check", f"out={tmp_path}"), tmp_path)


def test_a_machine_without_a_gpu_is_refused(tmp_path):
    command = [sys.executable, "recipes/gpu_check.py", "hardware=gpu_2x80g", f"out={tmp_path / 'check'}"]
    done = subprocess.run(command, cwd=ROOT, env=environment(PATH="/usr/bin:/bin"), capture_output=True, text=True)
    assert done.returncode == 2 and "hardware=gpu_2x80g: GPU: " in done.stderr
    assert not (tmp_path / "check").exists()


def test_make_looks_for_a_gpu_before_it_installs_anything(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "sh", "make", "sed", "grep", "basename", "dirname", "tr", "paste"):
        (programs / name).symlink_to(shutil.which(name))
    done = subprocess.run(["make", "gpu-check", "HARDWARE=gpu_2x80g"], cwd=ROOT, env={"PATH": str(programs)},
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 2 and "error: no GPU here" in done.stderr and "setup" not in done.stdout


def test_random_weights_replace_a_policy_that_the_hub_does_not_give(tmp_path, monkeypatch):
    """A policy of published shapes, here small ones; another policy is refused as ever."""
    from transformers import AutoModelForImageTextToText

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(start, "PUBLISHED", tmp_path)
    published = json.loads((ROOT / "vrft_aug/experiments/model_configs/qwen2_5_vl_3b.json").read_text())
    text = published.get("text_config", published)
    text |= {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
             "num_hidden_layers": 2, "max_window_layers": 2, "vocab_size": 2048,
             "layer_types": ["full_attention"] * 2}  # fmt: skip
    text["rope_scaling"] = {"type": "default", "mrope_section": [2, 3, 3], "rope_type": "default"}
    published["vision_config"] |= {"hidden_size": 32, "out_hidden_size": 64, "depth": 2, "num_heads": 2,
                                   "intermediate_size": 32, "fullatt_block_indexes": [1]}  # fmt: skip
    (tmp_path / "small.json").write_text(json.dumps(published))
    policy = Policy.of(composed("gpu_check", "policy.name=small", "policy.path=nobody/has-this").policy)
    said: list[str] = []
    folder, what = start.find_start(policy, tmp_path / "start", said.append)
    assert what == "random weights with the shapes of small" and "not on the hub" in said[0]
    model = AutoModelForImageTextToText.from_pretrained(folder)
    assert model.config.text_config.hidden_size == 64 and len(model.get_input_embeddings().weight) == 2048
    other = Policy.of(composed("gpu_check", "policy.name=unknown", "policy.path=nobody/has-this").policy)
    with pytest.raises(InputError, match="not on the hub"):
        start.find_start(other, tmp_path / "other", said.append)
