"""Bad input gives an error of one line and exit code 2, and leaves nothing half-written."""

import os
import subprocess
import sys

import pytest
from documented import recipes
from repository import ROOT

from vrft_aug.configs import compose
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.engine.verl.patches import WRITTEN_FOR


def refused(recipe: str, *overrides: str, **environment: str) -> str:
    """Run a recipe that must refuse its input, and return its error line."""
    command = [sys.executable, str(ROOT / "recipes" / f"{recipe}.py"), *overrides]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False,
                          env=os.environ | environment)  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "Traceback" not in done.stderr
    return line


@pytest.mark.parametrize(
    ("override", "known"),
    [("dataset=retinas", "did you mean retina? choices: blood,"), ("objective=acuracy", "did you mean accuracy?"),
     ("policy=huge", "choices: lingshu_7b, qwen2_5_vl_3b, qwen2_5_vl_7b, qwen3_vl_2b")],
)  # fmt: skip
def test_an_unknown_choice_names_the_known_ones(tmp_path, override, known):
    line = refused("grpo", override, f"out={tmp_path / 'out'}")
    group, name = override.split("=")
    assert f"no {group} '{name}'; " in line and known in line and "search path" not in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("recipe", "override", "meant"),
    [
        ("grpo", "shot=5", "no key shot; did you mean shots?"),
        ("grpo", "hardware.ray.adress=auto", "no key hardware.ray.adress; did you mean hardware.ray.address?"),
        ("evaluate", "temperature=1", "no key temperature; did you mean sampling.temperature?"),
        ("prepare", "datasets=blood", "no key datasets; did you mean dataset?"),
        ("prepare", "zz=1", "no key zz; `python recipes/prepare.py --cfg job` lists all keys (+zz=... would add one)"),
    ],
)
def test_an_unknown_key_names_the_one_that_was_meant(recipe, override, meant):
    assert refused(recipe, override) == f"error: {meant}"


@pytest.mark.parametrize(
    ("recipe", "arguments", "reason"),
    [
        ("show", [], "data is missing: set data=<folder of prepare.py, or a parquet file>"),
        ("reporting_checklist", [], "run is missing: set run=<folder of an evaluation, or of a table's cell"),
        ("prepare", ["shots=[1"], "shots=[1: not a setting; write key=value"),
        ("grpo", ["-m", "seed=0,1", "--cfg", "job"], "Only one of --run, --multirun, --cfg"),
        ("grpo", ["--resolve"], "The --resolve flag can only be used"),
    ],
)
def test_a_command_that_is_incomplete_or_cannot_be_read(recipe, arguments, reason):
    assert reason in refused(recipe, *arguments)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Rows of phantoms for the tiny policy, with the prompt of class names."""
    out = tmp_path_factory.mktemp("rows")
    sizes = [f"dataset.loader.{split}=12" for split in ("train", "val", "test")]
    prepare(compose("prepare", [f"out={out}", *sizes]), None)
    return out


@pytest.mark.parametrize(
    ("recipe", "overrides", "reason"),
    [
        ("evaluate", ["policy.min_pixels=3136"], "the rows were prepared for policy=tiny, and this policy sees other "
         "images or states boxes in another frame (policy.min_pixels: 12544 -> 3136)"),
        ("grpo", ["policy=qwen2_5_vl_3b"], "(policy.min_pixels: 12544 -> 262144, policy.max_pixels: 12544 -> 1003520)"),
        ("sft", ["policy.box_frame=thousand"], "(policy.box_frame: resized -> thousand)"),
        ("grpo", ["prompt=knowledge"], "the rows have another prompt (prompt.name: names -> knowledge"),
        ("evaluate", ["dataset=blood"], "the rows are of dataset=phantom, but dataset=blood is chosen"),
        ("grpo", ["task_seed=3"], "the rows are of task_seed=0, but task_seed=3 is chosen; choose task_seed=0"),
        ("sft", ["experiment=v_rft"], "v_rft trains with grpo, and this is recipes/sft.py; run recipes/grpo.py"),
        ("grpo", ["experiment=v_sft"], "v_sft trains with sft, and this is recipes/grpo.py; run recipes/sft.py"),
        ("sft", ["experiment=v_sft_pa_pi", "hardware.devices_per_node=8"],
         "data.train_batch_size=4: 8 devices cannot share 4 samples equally; a multiple of 8 is needed"),
        ("grpo", ["actor_rollout_ref.rollout.n=-1"], "rollout.n=-1: 1 or more responses per prompt"),
        ("grpo", ["objective=recite_neg"], "no knowledge to recite; prepare the data with prompt=knowledge"),
        ("grpo", ["prompt=no_think_knowledge", "objective=recite_neg"],
         "recitation: prompt.form=answer_only asks for no thought that could recite; choose prompt.form=think_first"),
        ("evaluate", ["objective=rlcr"], "brier: the prompt asks for no confidence; prepare the data with prompt="),
        ("evaluate", ["prompt=no_think"], "(prompt.name: names -> no_think, prompt.form: think_first -> answer_only)"),
        ("grpo", ["policy.path=runs/nope"], "runs/nope: no such folder, and not on the hub or in its cache"),
    ],
)
def test_stages_that_do_not_fit_each_other_are_refused(rows, tmp_path, recipe, overrides, reason):
    out = tmp_path / "out"
    assert reason in refused(recipe, f"parquet={rows}", *overrides, f"out={out}")
    assert not out.exists()


def test_another_version_of_verl_is_refused_before_anything_is_written(rows, tmp_path):
    """Every process of this run finds verl 0.0."""
    other = "lambda name: '0.0' if name == 'verl' else found(name)"
    text = f"import importlib.metadata\nfound = importlib.metadata.version\nimportlib.metadata.version = {other}\n"
    (tmp_path / "sitecustomize.py").write_text(text)
    settings = [f"parquet={rows}", f"out={tmp_path / 'out'}", "schedule=tiny", "schedule.batch_size=8"]
    line = refused("grpo", *settings, "schedule.mini_batch_size=8", PYTHONPATH=str(tmp_path))
    assert f"vrft_aug was written for verl {WRITTEN_FOR['verl']}, but 0.0 is installed: run `make setup`" in line
    assert not (tmp_path / "out").exists()


def test_a_failed_sweep_names_the_jobs_that_did_not_run(tmp_path):
    line = refused("evaluate", "-m", "seed=0,1", "split=test,val", f"parquet={tmp_path}")
    assert "test.parquet does not exist" in line
    left = "seed=0 split=val; seed=1 split=test; seed=1 split=val"
    assert line.endswith(f"(this was job 1 of 4 of the sweep: seed=0 split=test; not run: {left})")


@pytest.mark.parametrize("recipe", sorted(path.stem for path in (ROOT / "recipes").glob("[a-z]*.py")))
def test_a_recipe_outside_the_environment_says_how_to_activate_it(recipe):
    """-S: without the installed packages, as another Python would start it."""
    command = [sys.executable, "-S", str(ROOT / "recipes" / f"{recipe}.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={"PATH": "/nowhere"})
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "has no package hydra" in done.stderr and "`source .venv/bin/activate`" in done.stderr


@pytest.mark.parametrize(("target", "argument"), [("show", "DATA="), ("serve", "POLICY="), ("plan", "TABLE=<one of: "),
                                                  ("submit", "FOLDER="), ("reporting-checklist", "RUN=<")])  # fmt: skip
def test_a_make_target_names_the_argument_that_it_needs(target, argument):
    """-o setup: as if everything were installed."""
    command = ["make", "-o", "setup", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and done.stderr.startswith(f"error: make {target} needs {argument}"), done.stderr


def test_make_hands_its_arguments_to_the_recipe():
    words = ("make", "quickstart", "DATASET=retina", "ARGS=+stages.allow_unverified=true schedule.steps=8")
    ((name, overrides),) = recipes(words)
    config = compose(name, overrides)
    assert config.table.datasets == ["retina"] and config.table.rows[-1].experiment == "v_sft_v_rft"
    assert config.stages.allow_unverified and config.schedule.steps == 8
    ((_, overrides),) = recipes(("make", "prepare", "POLICY=qwen2_5_vl_3b"))
    assert compose("prepare", overrides).policy.name == "qwen2_5_vl_3b"


def test_the_shell_can_complete_settings():
    asked = "python recipes/grpo.py objective=reci"
    command = [sys.executable, str(ROOT / "recipes" / "grpo.py"), "-sc"]
    env = os.environ | {"COMP_LINE": asked, "COMP_POINT": str(len(asked))}
    for ask, answer in (("install=bash", "complete -o nospace"), ("query=bash", "objective=recite_neg_mfrs")):
        done = subprocess.run([*command, ask], capture_output=True, text=True, cwd=ROOT, env=env, timeout=60)
        assert done.returncode == 0 and answer in done.stdout, done.stderr


def test_a_config_is_composed_without_importing_verl():
    """Its import takes five seconds, and a wrong setting must not wait for it."""
    run = "import sys; from vrft_aug.configs import compose as c; c('grpo'), c('sft'); print('verl' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("recipe", ["prepare", "sft", "grpo", "evaluate"])
def test_the_debug_preset_is_one_step_on_four_rows_beside_the_real_ones(recipe):
    config = compose(recipe, ["preset=debug"])
    assert (config.schedule.steps, config.schedule.batch_size, config.schedule.mini_batch_size) == (1, 4, 4)
    assert config.parquet == "prepared/phantom-names-debug" != compose(recipe).parquet == "prepared/phantom-names-all"
    if recipe == "prepare":
        assert (config.out, config.limit) == (config.parquet, {"train": 4, "val": 4, "test": 4})


def test_a_folder_without_rows(tmp_path):
    pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
    line = refused("grpo", f"parquet={tmp_path}", f"out={tmp_path / 'out'}")
    assert "train.parquet does not exist" in line and "prepare.py" in line


def test_a_folder_without_a_policy(tmp_path):
    pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
    few = [f"dataset.loader.{split}=8" for split in ("train", "val", "test")]
    rows = compose("prepare", [*few, "policy.max_prompt_length=null", f"out={tmp_path / 'rows'}"])
    prepare(rows, None)
    line = refused("grpo", f"parquet={rows.out}", f"policy.path={tmp_path}", f"out={tmp_path / 'new' / 'out'}")
    assert "no config.json" in line
    assert not (tmp_path / "new").exists()


def test_a_split_without_rows(tmp_path):
    import pandas as pd

    pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
    for split, rows in (("train", 10), ("val", 0)):
        pd.DataFrame({"prompt": range(rows)}).to_parquet(tmp_path / f"{split}.parquet")
    line = refused("grpo", f"parquet={tmp_path}", f"out={tmp_path / 'out'}")
    assert "val.parquet holds no rows" in line


def test_an_out_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    line = refused("grpo", f"out={tmp_path / 'file' / 'out'}")
    assert "cannot be written" in line
