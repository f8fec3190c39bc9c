"""The scripts beside the exports: they start the trainer with the rows' pixel bounds, rewards and lengths."""

import ast
import importlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from PIL import Image
from toy_data import compose_config

from vrft_aug.data.policy_files import read_bounds
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.data.rows.frame import resized
from vrft_aug.data.settings import Policy
from vrft_aug.rewards import objective as objectives
from vrft_aug.rewards.adapters import easyr1 as easyr1_rewards

SMALL = ("dataset=phantom", "prompt=localize", "dataset.loader.train=26", "dataset.loader.val=13",
         "dataset.loader.test=13")
BOUNDS = (262144, 1003520)
SIZES = [(28, 28), (64, 64), (600, 450), (450, 600), (1024, 1024), (2000, 2500), (1500, 1200), (20, 90)]


def exported(folder: Path, name: str, *overrides: str) -> Path:
    """The folder of rows with the export `name`, for a policy that was built with other bounds than the rows have."""
    bounds = (f"policy.min_pixels={BOUNDS[0]}", f"policy.max_pixels={BOUNDS[1]}", "policy.max_response_length=96")
    prepare(compose_config(*SMALL, *bounds, "objective=mfrs", f"export={name}", f"out={folder}", *overrides), None)
    return folder


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """A folder in the form of a policy: real processor files with bounds of their own, weights without content."""
    from vrft_aug.tiny.model import make_processor
    from vrft_aug.tiny.tokenizer import read_corpus, train_tokenizer

    folder = tmp_path_factory.mktemp("policy")
    make_processor(train_tokenizer(read_corpus())).save_pretrained(folder)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").touch()
    return folder


def grid(policy_folder: Path, size: tuple[int, int], **bounds: int) -> tuple[int, int]:
    """Width and height that the processor in a folder gives an image, in pixels."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    processor = Qwen2VLImageProcessorPil.from_pretrained(policy_folder, **bounds)
    _, rows, columns = processor(Image.new("RGB", size), return_tensors="np")["image_grid_thw"][0].tolist()
    return columns * processor.patch_size, rows * processor.patch_size


def easyr1_resize(size: tuple[int, int], low: int, high: int) -> tuple[int, int]:
    """EasyR1's own resize before the processor's, verl/utils/dataset.py `process_image`."""
    area = size[0] * size[1]
    if low <= area <= high:
        return size
    factor = ((high if area > high else low) / area) ** 0.5
    return int(size[0] * factor), int(size[1] * factor)


def run_easyr1(folder: Path, tmp_path: Path, *arguments: str) -> dict:
    """The settings that easyr1.sh gives EasyR1. A stand-in for `python3` prints what EasyR1's program would get."""
    stand_in = tmp_path / "bin" / "python3"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/bash\n[ "$1" = -m ] && printf "%s\\n" "$@" && exit\nexec {sys.executable} "$@"\n')
    stand_in.chmod(0o755)
    environment = os.environ | {"PATH": f"{stand_in.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", folder / "easyr1.sh", *arguments], env=environment, capture_output=True, text=True,
                          check=True, timeout=120, cwd=tmp_path)
    flag, program, *settings = done.stdout.splitlines()
    assert (flag, program) == ("-m", "verl.trainer.main")
    return OmegaConf.to_container(OmegaConf.from_dotlist(settings))


def test_easyr1s_script_gives_the_trainer_the_rows_and_the_frame_of_their_boxes(tmp_path, policy):
    folder = exported(tmp_path / "my rows", "easyr1", f"policy.path={policy}")
    settings = run_easyr1(folder, tmp_path, "trainer.n_gpus_per_node=4")
    data, worker = settings["data"], settings["worker"]
    model = Path(worker["actor"]["model"]["model_path"])
    assert read_bounds(model)[:2] == BOUNDS != read_bounds(policy)[:2]
    ours = replace(Policy.of(compose_config().policy), min_pixels=BOUNDS[0], max_pixels=BOUNDS[1])
    for size in SIZES:
        assert grid(model, easyr1_resize(size, data["min_pixels"], data["max_pixels"])) == resized(size, ours), size
    for row in pq.read_table(data["train_files"]).to_pylist():
        assert data["image_key"] == "images" and "<image>" in row[data["prompt_key"]]
        info = json.loads(row[data["answer_key"]])["extra_info"]
        assert tuple(info["frame_size"]) == resized(tuple(info["image_size"]), ours)
    assert Path(data["val_files"]).is_file() and data["format_prompt"] is None
    assert data["max_response_length"] == 96 and settings["trainer"]["n_gpus_per_node"] == 4


def test_easyr1s_script_names_our_rewards(tmp_path, policy):
    folder = exported(tmp_path / "rows", "easyr1", f"policy.path={policy}")
    reward = run_easyr1(folder, tmp_path)["worker"]["reward"]
    assert reward["reward_function"] == f"{easyr1_rewards.__file__}:compute_score"
    assert reward["reward_function_kwargs"] == {"objective": objectives.load("mfrs")}
    row = pq.read_table(folder / "easyr1_train.parquet").to_pylist()[0]
    answer = {"response": "<answer>[0, 0, 1, 1]</answer>", "ground_truth": row["answer"]}
    assert "iou" in easyr1_rewards.compute_score(answer, **reward["reward_function_kwargs"])


def test_a_change_of_easyr1s_bounds_would_change_the_frame(policy, tmp_path):
    """Why the script keeps EasyR1 from resizing: with the policy's bounds it would give another frame."""
    from vrft_aug.data.policy_files import write_bounds

    shutil.copytree(policy, tmp_path / "policy")
    write_bounds(tmp_path / "policy", *BOUNDS)
    assert grid(tmp_path / "policy", easyr1_resize((1500, 1200), *BOUNDS)) != grid(tmp_path / "policy", (1500, 1200))


def call(tree: ast.Module, name: str) -> dict[str, ast.expr]:
    """The keyword arguments of the only call of a function or method in a script."""
    [found] = [node for node in ast.walk(tree) if isinstance(node, ast.Call)
               and name in (getattr(node.func, "id", None), getattr(node.func, "attr", None))]
    return {keyword.arg: keyword.value for keyword in found.keywords if keyword.arg}


def test_trls_script_gives_the_trainer_the_rows_and_the_frame_of_their_boxes(tmp_path, policy):
    folder = exported(tmp_path / "rows", "trl", f"policy.path={policy}")
    tree = ast.parse((folder / "trl_grpo.py").read_text())
    given = call(tree, "from_pretrained")
    bounds = {key: ast.literal_eval(given[key]) for key in ("min_pixels", "max_pixels")}
    ours = replace(Policy.of(compose_config().policy), **bounds)
    assert tuple(bounds.values()) == BOUNDS
    for size in SIZES:
        assert grid(policy, size, **bounds) == resized(size, ours), size
    assert ast.literal_eval(call(tree, "GRPOConfig")["max_completion_length"]) == 96
    files = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)} & set(os.listdir(folder))
    assert files == {"trl_train.parquet", "trl_val.parquet"}


def test_trls_script_names_the_policy_and_our_rewards(tmp_path, policy):
    tree = ast.parse((exported(tmp_path / "rows", "trl", f"policy.path={policy}") / "trl_grpo.py").read_text())
    constants = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}
    assert ast.literal_eval(constants["OBJECTIVE"]) == objectives.load("mfrs")
    settings = {one.arg: ast.literal_eval(one.value) for one in constants["POLICY"].keywords}
    assert Policy(**settings).path == str(policy)
    assert call(tree, "partial")["objective"].id == "OBJECTIVE"
    ours = {name.name: node.module for node in tree.body if isinstance(node, ast.ImportFrom) for name in node.names
            if node.module.startswith("vrft_aug")}
    assert set(ours) == {"Policy", "resolve", "objective_reward"}
    assert all(hasattr(importlib.import_module(module), name) for name, module in ours.items())


@pytest.mark.parametrize(("name", "script"), [("easyr1", "easyr1.sh"), ("trl", "trl_grpo.py")])
def test_the_script_is_one_of_the_listed_files_and_the_same_each_time(tmp_path, name, script):
    texts = [(exported(tmp_path / str(i), name) / script).read_bytes() for i in range(2)]
    assert texts[0] == texts[1]
    manifest = json.loads((tmp_path / "0" / "manifest.json").read_text())
    assert manifest["files"][script]["bytes"] == len(texts[0]) and len(manifest["files"][script]["sha256"]) == 64
    prepare(compose_config(*SMALL, f"out={tmp_path / '0'}"), None)
    assert not (tmp_path / "0" / script).exists()
