"""Trains each variant of GRPO for two steps on the real stack; its defining effect is a number of the training's log.

DAPO also trains one step more after a resumption, beside a training without one, and meets a dead end.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT, choices

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

pytestmark = pytest.mark.slow

SMALL = ["dataset=phantom", "dataset.loader.train=96", "dataset.loader.val=16", "dataset.loader.test=16"]
# Two updates per step. The policy has left the one that answered when the second begins.
BATCH = ["schedule.batch_size=8", "schedule.mini_batch_size=4"]
SAVED = ["schedule.save_freq=2", "schedule.test_freq=2", "trainer.val_before_train=false", "keep=last"]
EVICTED, SURPLUS = (f"training/filter_groups/{name}" for name in ("evicted_samples", "discarded_surplus_samples"))
DRAWN = ("critic/score/mean", "response_length/mean", EVICTED, SURPLUS)


def recipe(name: str, *overrides: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *SMALL, *overrides]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=2400)


def train(rows: Path, out: Path, variant: str, steps: int = 2, rate: str = "3e-4") -> dict[int, dict[str, float]]:
    """Train to a number of steps: step -> its metrics."""
    own = [f"variant={variant}", f"schedule.steps={steps}", f"schedule.learning_rate={rate}"]
    done = recipe("grpo", *own, *BATCH, *SAVED, f"parquet={rows}", f"out={out}")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    records = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    return {record["step"]: record["data"] for record in records if "critic/score/mean" in record["data"]}


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("variants") / "rows"
    assert recipe("prepare", f"out={folder}").returncode == 0
    return folder


@pytest.fixture(scope="module")
def trained(rows):
    """variant -> the metrics of its steps; each variant is trained once."""
    found: dict[str, dict[int, dict[str, float]]] = {}

    def one(variant: str) -> dict[int, dict[str, float]]:
        if variant not in found:
            found[variant] = train(rows, rows.parent / variant, variant)
        return found[variant]

    return one


@pytest.mark.parametrize("variant", choices("variant"))
def test_it_trains_two_steps_and_says_which_variant_it_is(trained, rows, variant):
    steps = trained(variant)
    assert sorted(steps) == [1, 2] and all(metrics["actor/grad_norm"] > 0 for metrics in steps.values())
    folder = rows.parent / variant
    assert json.loads((folder / "run.json").read_text())["variant"] == variant
    assert f"| variant of GRPO | {variant} |" in (folder / "policy" / "README.md").read_text()
    settings = json.loads((folder / "policy" / "vrft_aug.json").read_text())
    assert settings["trainings"][-1]["variant"] == variant


@pytest.mark.parametrize("variant", choices("variant"))
def test_only_those_with_a_kl_divergence_have_a_reference_policy(trained, variant):
    for metrics in trained(variant).values():
        assert ("actor/kl_loss" in metrics) == (variant in ("gdpo", "grpo", "gspo", "sapo"))


def test_dapo_leaves_no_equal_group_and_counts_the_evicted(trained):
    steps = trained("dapo").values()
    assert [metrics["reward/classification/equal_groups"] for metrics in steps] == [0, 0]
    assert sum(metrics[EVICTED] for metrics in steps) > 0
    assert any(metrics["reward/classification/equal_groups"] > 0 for metrics in trained("grpo").values())


def test_dr_grpos_advantage_is_not_divided(trained):
    """A score is in [0, 1]. GRPO's advantage of one right answer among eight wrong ones is 2.5."""
    assert all(0 < metrics["critic/advantages/max"] <= 1 for metrics in trained("dr_grpo").values())
    assert any(metrics["critic/advantages/max"] > 1 for metrics in trained("grpo").values())


def test_gdpos_advantages_are_normalised_over_the_tokens_of_the_batch(trained):
    assert all(abs(metrics["critic/advantages/mean"]) < 1e-5 for metrics in trained("gdpo").values())
    assert any(abs(metrics["critic/advantages/mean"]) > 1e-5 for metrics in trained("grpo").values())


def test_the_second_update_of_a_step_reaches_gspos_narrow_clip_and_sapo_has_none(trained):
    clipped = {name: [metrics["actor/pg_clipfrac"] for metrics in trained(name).values()]
               for name in ("grpo", "gspo", "sapo")}  # fmt: skip
    assert min(clipped["gspo"]) > max(clipped["grpo"])
    assert clipped["sapo"] == [0, 0]


def test_cispos_loss_is_weighted_log_probability(trained):
    """GRPO's loss is about -mean(advantage), nearly 0; CISPO's multiplies it by log-probabilities."""
    one, other = (abs(trained(name)[1]["actor/pg_loss"]) for name in ("cispo", "kl_free"))
    assert one != pytest.approx(other, rel=0.1)


def test_a_resumed_training_draws_the_prompts_that_follow(rows, tmp_path):
    whole = train(rows, tmp_path / "whole", "dapo", 3, "1e-5")
    train(rows, tmp_path / "halves", "dapo", 2, "1e-5")
    halves = train(rows, tmp_path / "halves", "dapo", 3, "1e-5")
    assert sorted(whole) == sorted(halves) == [1, 2, 3]
    for step in (1, 2, 3):
        assert [whole[step][key] for key in DRAWN] == [halves[step][key] for key in DRAWN]


def test_where_all_groups_are_equal_one_line_says_so(rows, tmp_path):
    always_alike = ["actor_rollout_ref.rollout.temperature=0.001", "algorithm.filter_groups.max_num_gen_batches=2"]
    done = recipe("grpo", "variant=dapo", "schedule.steps=2", *BATCH, *SAVED, *always_alike, f"parquet={rows}",
                  f"out={tmp_path / 'dead'}")  # fmt: skip
    assert done.returncode == 1
    assert "all groups are equal in score after 16 prompts, and a batch needs 8 that differ" in done.stderr
    assert json.loads((tmp_path / "dead" / "run.json").read_text())["state"] == "failed"
