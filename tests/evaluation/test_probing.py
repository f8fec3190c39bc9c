"""The settings, the drawn prompts and the files of a probe, without a policy."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from repository import ROOT, composed
from toy_runs import predictions

from vrft_aug.engine.run import facts
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.errors import InputError
from vrft_aug.evaluation.probe import FILES, OWN, check_probe, drawn, to_prepare, write


def probe(*overrides: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "recipes" / "probe.py"), *overrides]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(("override", "reason"), [
    ("sampling.n=4", "sampling.n=4: must be from group=8 to 64"),
    ("sampling.n=65", "sampling.n=65: must be from group=8 to 64"),
    ("sampling.temperature=0", "16 greedy samples are all equal"),
    ("group=1", "group=1: must be a whole number, 2 or more"),
    ("images=0", "images=0: must be a whole number, 1 or more, or null"),
])  # fmt: skip
def test_settings_that_make_no_sense(override, reason):
    with pytest.raises(InputError, match=reason):
        check_probe(composed("probe", override))


def test_the_defaults_are_those_of_the_training():
    config, rollout = composed("probe"), composed("grpo").actor_rollout_ref.rollout
    check_probe(config)
    assert (config.group, config.sampling.temperature) == (rollout.n, rollout.temperature)


def test_missing_rows_are_prepared_with_the_settings_that_preparation_has(tmp_path):
    asked = ["dataset=blood", "images=null", "sampling.n=64", "+dataset.loader.size=64", "policy.path=x", "out=y"]
    config = composed("probe", f"parquet={tmp_path}")
    assert to_prepare(config, asked) == ["dataset=blood", "+dataset.loader.size=64", "policy.path=x"]
    assert to_prepare(composed("probe", "parquet=nowhere"), [*asked, "parquet=nowhere"]) is None
    (tmp_path / "manifest.json").touch()
    assert to_prepare(config, asked) is None
    assert set(OWN) - {"out"} == composed("probe").keys() - composed("prepare").keys()


def test_a_mistake_is_refused_before_rows_are_prepared(tmp_path):
    done = probe("sampling.n=4", cwd=tmp_path)
    assert done.returncode == 2 and "must be from group=8 to 64" in done.stderr and not any(tmp_path.iterdir())
    done = probe("dataset=blood", cwd=tmp_path)  # its file is not there: preparation says so, in one line
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert "blood" in done.stderr and not any(tmp_path.iterdir())


def test_images_are_drawn_evenly_by_class_and_smaller_draws_are_part_of_larger_ones():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [50, 30, 4]))
    rows = pd.DataFrame({"extra_info": [{"label": label, "index": index} for index, label in enumerate(labels)]})

    def chosen(images: int | None, seed: int = 0) -> list[int]:
        return [info["index"] for info in drawn(rows, images, seed)["extra_info"]]

    assert np.bincount(labels[chosen(24)]).tolist() == [10, 10, 4]
    assert chosen(24) == chosen(24) == sorted(chosen(24)) != chosen(24, seed=1)
    assert set(chosen(12)) < set(chosen(24)) and chosen(None) == chosen(100) == list(range(84))


def test_a_finished_probe_stands_and_is_not_overwritten(rows, tmp_path, capfd):
    """A real run's folder and files, with invented answers: half of each prompt's samples are right."""
    settings = [f"parquet={rows}", "policy.max_prompt_length=null", f"out={tmp_path / 'out'}"]
    config = composed("probe", *settings)
    truth, answers = ["a"] * 16 + ["b"] * 16, ["a", "b"] * 16
    table = predictions(truth, answers, ["a", "b"], task="classification", accuracy=[*np.tile([1.0, 0, 0, 1], 8)])
    table["source_id"] = table["group_id"] = table["ground_truth"]
    with Run(config, "probe") as run:
        run.record(sha256=facts.checksums(rows, "train"), weights={})
        write(table, config, run)
    said = capfd.readouterr().out
    assert "pass@1   50.0" in said and "a (1 images): pass@1 50.0" in said
    assert said.splitlines()[-1].partition("  ")[2].strip().startswith("0:0")
    assert {path.name for path in (tmp_path / "out").iterdir()} > set(FILES)
    found = json.loads((tmp_path / "out" / "probe.json").read_text())
    assert OmegaConf.load(tmp_path / "out" / "config.yaml").group == found["group"] == 8
    again = probe(*settings)
    assert again.returncode == 0 and "nothing to do" in again.stdout, again.stderr
    assert again.stdout.splitlines()[-1].endswith(found["verdict"]["text"])
    other = probe(*settings, "sampling.n=32")
    assert "holds the probe with other settings (1 differ: sampling.n: 16 -> 32)" in other.stderr
