"""Checks that an override on experiments.py's command line reaches its stages or is refused."""

import re
import subprocess
import sys

import pytest
import yaml
from repository import ROOT

from vrft_aug.errors import InputError
from vrft_aug.experiments.command_line import TREES, Given, sort_overrides

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

RECIPES = {"prepare", "sft", "grpo", "evaluate"}
TRAININGS = {"train", "fine_tune"}


@pytest.mark.parametrize(
    ("override", "every", "training", "start"),
    [
        ("hardware.devices_per_node=4", "hardware.devices_per_node=4", "", ""),
        ("hardware.ray.address=auto", "hardware.ray.address=auto", "", ""),
        ("+hardware.env.FOO='a b'", "++hardware.env.FOO='a b'", "", ""),
        ("~hardware.env.FOO", "~hardware.env.FOO", "", ""),
        ("policy.min_pixels=262144", "policy.min_pixels=262144", "", ""),
        ("+policy.min_pixels=262144", "policy.min_pixels=262144", "", ""),
        ("schedule=paper", "", "schedule=paper", ""),
        ("+schedule.steps=3", "", "schedule.steps=3", ""),
        ("policy.path=runs/mine", "", "", "policy.path=runs/mine"),
    ],
)
def test_overrides_are_sorted_by_the_stages_that_they_reach(override, every, training, start):
    given = sort_overrides(["policy=tiny", override])
    assert given == Given(*(tuple(filter(None, [one])) for one in (every, training, start)))


def test_every_key_of_the_file_can_be_given():
    keys = [key for key in yaml.safe_load((ROOT / "conf" / "experiments.yaml").read_text()) if key != "defaults"]
    assert len(keys) > 10
    assert sort_overrides([f"{key}=null" for key in keys if key not in TREES]) == Given((), (), ())
    assert set(keys) >= set(TREES)


def test_what_experiments_itself_uses_reaches_no_stage_again():
    own = ["table=table1", "table.datasets=[blood]", "out=x", "plan=true", "plan_tokens_per_second=1", "data_root=d"]
    own += ["seed=1", "hardware=cpu", "policy=tiny", "+stages.dataset.loader.size=224", "+training.keep=last"]
    assert sort_overrides(own) == Given((), (), ())


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("+experiment=v_rft", "each cell sets experiment itself; change the table (table.rows"),
        ("+keep=last", "experiments.py does not use keep; +stages.keep=<value> sets it in every stage, +training.keep"),
        ("hardware@other=cpu", "experiments.py does not use hardware"),
        ("+stages.out=runs/x", "each cell sets out itself"),
        ("+training.objective=mfrs", "each cell sets objective itself"),
        ("+training.variant=dapo", "each cell sets variant itself"),
        ("+stages.method.train=sft", "each cell sets method.train itself"),
        ("+stages.limit={}", "an empty mapping sets nothing"),
        ("+policy.path=runs/mine", "the table may have several policies; add policy="),
    ],
)
def test_what_would_change_nothing_is_refused(override, line):
    with pytest.raises(InputError, match=re.escape(line)):
        sort_overrides([override])


def experiments(*overrides: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "recipes" / "experiments.py"), *overrides]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_each_override_is_in_every_stage_that_it_applies_to(tmp_path):
    every = ["hardware.devices_per_node=4", "policy.warm_start=warm_start", "policy.max_response_length=32",
             "hardware.ray.address=auto"]  # fmt: skip
    more = ["+stages.prompt.class_order=shuffled", "+training.keep=last", "schedule=paper", "policy.path=mine",
            "+tests.preset=journal"]  # fmt: skip
    done = experiments("policy=tiny", "table.rows=[{experiment:v_rft_pa_pi_v_rft}]", "plan=commands", f"out={tmp_path}",
                       *every, *more)  # fmt: skip
    assert done.returncode == 0, done.stderr
    stages = [line.split() for line in done.stdout.splitlines() if " python recipes/" in line]
    assert {re.search(r"recipes/(\w+)", " ".join(words))[1] for words in stages} == RECIPES
    assert all(set(every) < set(words) for words in stages)
    assert all('prompt.class_order="shuffled"' in words for words in stages)
    for words in stages:
        assert ({"schedule=paper", 'keep="last"'} <= set(words)) == (words[0] in TRAININGS), words
        assert ('preset="journal"' in words) == any("recipes/evaluate.py" in word for word in words), words
        made = any(word.startswith("policy.path=") and "/policy" in word for word in words)
        assert ("policy.path=mine" in words) != made, words


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("+keep=last", "error: +keep=last: experiments.py does not use keep; +stages.keep=<value> sets it in"),
        ("+shots=3", "error: +shots=3: each cell sets shots itself; change the table"),
        ("policy.min_pixel=3", "error: no key policy.min_pixel"),
        ("+policy.min_pixel=3", "prepare.py cannot run with these settings: Could not override 'policy.min_pixel'."),
        ("+stages.label_nois=1", "recipes/prepare.py cannot run with these settings: Could not override 'label_nois'."),
        ("hardware.nodes=2 hardware.devices_per_node=3", "cells cannot run, so none was started"),
        ("plan=maybe", "plan=maybe: must be one of false, true, commands"),
        ("beside=[grpo]", "beside=['grpo']: must be a list of some of prepare, evaluate, each once"),
    ],
)
def test_a_refused_override_ends_with_one_line_and_exit_code_2(override, line, tmp_path):
    done = experiments("policy=tiny", f"out={tmp_path / 'runs'}", *override.split())
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert line in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
