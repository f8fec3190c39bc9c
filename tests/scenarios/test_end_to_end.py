"""The real stack, once: prepare, two SFT steps, two GRPO steps, one more after a resumption, evaluate, report.

verl, Ray, vLLM and FSDP run as they do in `make quickstart`, with the tiny policy and a few phantoms. Both trainings
start from the policy of the package. GRPO mixes the four tasks: each row is scored by its own.
"""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from repository import ROOT

from vrft_aug.tiny.shipped import FOLDER

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

SMALL = ["dataset.loader.train=64", "dataset.loader.val=32", "dataset.loader.test=32"]
TASKS = {"classification": ["dataset=phantom", "prompt=knowledge"],
         "grading": ["dataset=phantom_grade", "prompt=knowledge"],
         "localization": ["dataset=phantom", "prompt=localize"],
         "detection": ["dataset=phantom_grade", "prompt=localize_all"]}  # fmt: skip
MAIN_REWARD = {"classification": "accuracy", "grading": "mfrs", "localization": "iou", "detection": "boxes"}


def recipe(name: str, *overrides: str, watch: set[str] | None = None) -> None:
    """Run a recipe; with `watch`, collect the titles of the processes that it starts."""
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *SMALL, *overrides]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if watch is not None:
        threading.Thread(target=_watch, args=(process.pid, watch), daemon=True).start()
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output


def side_by_side(commands: list[tuple[str, ...]]) -> None:
    """Run recipes that do not depend on each other at the same time."""
    with ThreadPoolExecutor() as together:
        for done in [together.submit(recipe, *command) for command in commands]:
            done.result()


def _watch(pid: int, seen: set[str]) -> None:
    while psutil.pid_exists(pid):
        try:
            for child in psutil.Process(pid).children(recursive=True):
                seen.add((child.pid, " ".join(child.cmdline())))
        except psutil.Error:
            continue
        time.sleep(1)


def steps(folder: Path) -> dict[int, dict]:
    records: dict[int, dict] = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        records.setdefault(record["step"], {}).update(record["data"])
    return records


def weights(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.torch import load_file

    return {name: tensor.float().numpy() for name, tensor in load_file(folder / "model.safetensors").items()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    side_by_side([("prepare", *overrides, f"out={folder / task}") for task, overrides in TASKS.items()])
    return folder


@pytest.fixture(scope="module")
def sft(runs) -> Path:
    """Two steps of V-SFT."""
    two = ["trainer.total_training_steps=2", "trainer.save_freq=2", "trainer.test_freq=2", "schedule.batch_size=8"]
    recipe("sft", f"parquet={runs / 'classification'}", "prompt=knowledge", *two, f"out={runs / 'sft'}")
    return runs / "sft"


@pytest.fixture(scope="module")
def grpo(runs) -> Path:
    """Two steps, then one more in a second process."""
    files = {split: ",".join(str(runs / task / f"{split}.parquet") for task in TASKS) for split in ("train", "val")}
    common = [f"data.train_files=[{files['train']}]", f"data.val_files=[{files['val']}]", "objective=mfrs",
              f"out={runs / 'grpo'}", "schedule.batch_size=24", "schedule.mini_batch_size=24",
              "trainer.save_freq=2", "trainer.test_freq=2",
              "hardware.reuse_log_probs=false"]  # fmt: skip
    seen: set = set()
    recipe("grpo", *common, "trainer.total_training_steps=2", watch=seen)
    (runs / "processes.json").write_text(json.dumps(sorted(seen)))
    recipe("grpo", *common, "trainer.total_training_steps=3", "trainer.val_before_train=false")
    return runs / "grpo"


def test_ray_vllm_and_fsdp_are_processes_of_their_own(runs, grpo):
    seen = json.loads((runs / "processes.json").read_text())
    titles = ("ray::TaskRunner", "ray::WorkerDict", "ray::RewardLoopWorker", "ray::PromptOnceWorker", "EngineCore")
    kinds = {title: {pid for pid, seen_title in seen if title in seen_title} for title in titles}
    assert all(kinds.values()), {kind: len(pids) for kind, pids in kinds.items()}
    assert len(set.union(*kinds.values())) == sum(map(len, kinds.values())), "two kinds in one process"


def test_the_saved_config_is_the_papers(grpo):
    from omegaconf import OmegaConf

    config = OmegaConf.load(grpo / "config.yaml")
    rollout, actor = config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor
    assert (rollout.n, rollout.temperature, rollout.name) == (8, 0.9, "vllm")
    assert (actor.use_kl_loss, actor.kl_loss_coef, actor.optim.optimizer) == (True, 0.04, "AdamW")
    assert config.reward.reward_manager.name == "TaskRewardManager"
    assert config.objective_name == "mfrs"


def test_vllm_and_the_actor_agree_at_every_step(grpo):
    """Hence either's log-probabilities may serve as those before the update (`hardware.reuse_log_probs`)."""
    found = steps(grpo)
    assert sorted(step for step in found if step > 0) == [1, 2, 3]
    for step in (1, 2, 3):
        metrics = found[step]
        assert metrics["training/rollout_probs_diff_max"] < 1e-3
        assert abs(metrics["rollout_corr/log_ppl_diff"]) < 1e-3
        assert metrics["rollout_corr/log_ppl_diff_max"] < 1e-3
        assert metrics["training/rollout_actor_probs_pearson_corr"] > 0.999


def test_each_tasks_parts_are_logged_and_add_up(grpo):
    """eq. 8 and 10, with the weights 0.9 and 0.1."""
    for step, metrics in steps(grpo).items():
        if step == 0:
            continue
        for task, main in MAIN_REWARD.items():
            part = {name: metrics[f"reward/{task}/{name}"] for name in (main, "format", "score")}
            assert part["score"] == pytest.approx(0.9 * part[main] + 0.1 * part["format"])
            assert not {f"reward/{task}/{other}" for other in MAIN_REWARD.values() if other != main} & metrics.keys()
        assert 0 <= metrics["reward/classification/equal_groups"] <= 1


def test_the_reference_stays_and_the_policy_moves(grpo):
    found = steps(grpo)
    assert found[1]["actor/kl_loss"] < 1e-5 < found[3]["actor/kl_loss"]
    moved(grpo)


def test_supervised_training_moves_the_policy(sft):
    losses = [found["train/loss"] for step, found in sorted(steps(sft).items()) if step]
    assert len(losses) == 2 and all(0 < loss < 20 for loss in losses)
    moved(sft)


def moved(run: Path) -> None:
    """The training has changed weights of the policy of the package, and nothing else about them."""
    before, after = weights(FOLDER), weights(run / "policy")
    assert before.keys() == after.keys()
    assert any(not np.array_equal(before[name], after[name]) for name in before)


def test_the_policy_answers_in_transformers(grpo):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(grpo / "policy")
    processor = AutoProcessor.from_pretrained(grpo / "policy")
    assert model.config.model_type == "qwen2_5_vl"
    assert model.config.text_config.vocab_size == len(processor.tokenizer)


def test_a_checkpoint_is_merged_and_its_samples_vote(runs, grpo):
    step, out = json.loads((grpo / "run.json").read_text())["exported_step"], runs / "vote"
    checkpoint = grpo / "checkpoints" / f"global_step_{step}"
    recipe("evaluate", f"parquet={runs / 'classification'}", "prompt=knowledge", "sampling.n=4",
           "sampling.temperature=0.9", f"policy.path={checkpoint}", "conditions=[]", f"out={out}")  # fmt: skip
    merged, exported = weights(out / "policy"), weights(grpo / "policy")
    assert all(np.array_equal(merged[name], exported[name]) for name in exported)
    predictions = pd.read_parquet(out / "predictions.parquet")
    assert (len(predictions), predictions["vote"].sum()) == (4 * 32, 32)
    assert predictions["probabilities"].notna().equals(predictions["vote"])
    assert predictions["vote_shares"].map(len).eq(4).all() and predictions["vote_shares"].map(sum).le(1 + 1e-9).all()
    metrics = json.loads((out / "metrics.json").read_text())["phantom/classification"]
    assert (metrics["n"], metrics["samples"]["n"]) == (32, 4)


def test_the_exported_policy_is_described(runs, grpo):
    record = json.loads((grpo / "run.json").read_text())
    assert record["exported_step"] in (2, 3) and record["selected_by"]["metric"] == "val-core/*/acc/mean@*"
    card = (grpo / "policy" / "README.md").read_text()
    assert "Not a medical device" in card and str(runs) not in card


def probabilities_agree(predictions: pd.DataFrame) -> None:
    """Class probabilities of 64 greedy answers sum to 1, and the most probable class is nearly always the answer."""
    table = np.stack(predictions["probabilities"])
    assert table.shape == (64, 4) and np.allclose(table.sum(1), 1) and (table >= 0).all()
    names = [row[best] for row, best in zip(predictions["classes"], table.argmax(1), strict=True)]
    assert np.mean(names == predictions["prediction"]) >= 0.95


def test_evaluation_and_report(runs, grpo):
    policies = {"before": [], "after": [f"policy.path={grpo / 'policy'}"]}
    side_by_side([("evaluate", f"parquet={runs / 'classification'}", "prompt=knowledge", *policy, f"out={runs / name}")
                  for name, policy in policies.items()])  # fmt: skip
    probabilities_agree(pd.concat([pd.read_parquet(runs / name / "predictions.parquet") for name in policies]))
    for name in policies:
        metrics = json.loads((runs / name / "metrics.json").read_text())["phantom/classification"]
        assert metrics["n"] == 32
        assert all((runs / name / beside / "metrics.json").is_file() for beside in ("shuffled", "pixels"))
    out = runs / "report"
    command = [sys.executable, str(ROOT / "recipes" / "report.py"), f"out={out}",
               f"runs=[{runs / 'before'},{runs / 'grpo'},{runs / 'after'}]"]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert "before" in (out / "report.md").read_text()
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((runs / "grpo" / "run.json").read_text())["state"] == "finished"
