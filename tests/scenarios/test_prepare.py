"""The recipes of the data stage, run as a person runs them."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image
from repository import ROOT, composed
from toy_data import write_toy

from vrft_aug.data.policy_files import write_settings


def run(recipe, *arguments, folder=ROOT):
    command = [sys.executable, str(ROOT / "recipes" / f"{recipe}.py"), "policy.max_prompt_length=null", *arguments]
    command = command if recipe == "prepare" else [command[0], command[1], *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300, check=False)


@pytest.mark.parametrize("shots", [10, 20, 256])
def test_retina_as_the_readme_says(tmp_path, shared_data, shots):
    done = run("prepare", "dataset=retina", "prompt=knowledge", f"shots={shots}", f"data_root={shared_data}",
               f"out={tmp_path}")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    counts = [min(shots, n) for n in (486, 128, 206, 194, 66)]
    assert list(manifest["splits"]["train"]["drawn"].values()) == counts
    assert manifest["splits"]["test"]["rows"] == 400
    assert "test     400 rows of 400" in done.stdout and "train.parquet" in done.stdout


def test_the_default_output_folder(tmp_path):
    small = ("dataset.loader.train=26", "dataset.loader.val=13", "dataset.loader.test=13")
    done = run("prepare", "dataset=phantom", *small, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "prepared" / "phantom-names-all" / "manifest.json").exists()


def test_show_draws_a_sheet(tmp_path):
    small = ("dataset.loader.train=26", "dataset.loader.val=13", "dataset.loader.test=13")
    assert run("prepare", "dataset=phantom", "prompt=localize", f"out={tmp_path}", *small).returncode == 0
    done = run("show", f"data={tmp_path}", "images=12")
    assert done.stdout.strip() == str(tmp_path / "train.png"), done.stderr
    sheet = Image.open(tmp_path / "train.png").convert("RGB")
    assert (255, 0, 0) in {colour for _, colour in sheet.getcolors(1 << 20)}  # the boxes
    assert run("show", f"data={tmp_path}", "split=dev").returncode == 2


def test_a_check_prints_the_summary_and_writes_nothing(tmp_path):
    small = ("dataset.loader.train=26", "dataset.loader.val=13", "dataset.loader.test=13")
    done = run("prepare", "dataset=phantom", "shots=2", "check=true", *small, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "labels used: 8 train + 8 val" in lines and "visual tokens per image: 16 to 16" in lines
    assert lines[-1] == "check=true: nothing was written" and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("arguments", "message"), [
    (("dataset=retina", "data_root=nowhere"), "retinamnist.npz: no such file; get it with `make data"),
    (("dataset=retinas",), "retina"),
    (("prompt=knowlege",), "knowledge"),
    (("protocol=papers",), "protocol=papers: must be one of full, paper"),
    (("export=csv",), "export=csv: must be one of null, easyr1, trl"),
    (("shotz=10",), "shotz"),
    (("shots=-3",), "shots=-3: must be a whole number, 1 or more, or null"),
    (("prompt.form=no_think",), "prompt.form=no_think: must be one of think_first, answer_only, answer_first"),
    (("shard_mb=0",), "shard_mb=0: must be a whole number, 1 or more"),
    (("dataset.loader.diseases=12",), "error: dataset.loader.diseases=12: must be a whole number, 2 to 11"),
    (("dataset.classes=[a,b]",), "dataset.knowledge describes Bikzus, "),
])
def test_a_slip_gets_one_line_and_exit_code_2(tmp_path, arguments, message):
    done = run("prepare", f"out={tmp_path / 'out'}", *arguments)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and message in lines[0]
    assert not (tmp_path / "out").exists()


def test_unreadable_images_get_one_line_and_exit_code_2(tmp_path):
    write_toy(tmp_path / "raw", "folder")
    for number in (3, 17):
        (tmp_path / "raw" / "folder" / "png" / f"{number}.png").write_bytes(b"no image")
    done = run("prepare", "dataset=folder", f"data_root={tmp_path / 'raw'}", f"out={tmp_path / 'out'}")
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()
    assert "2 mistakes: " in line and "3.png: not a readable image" in line and "17.png: not a readable image" in line
    assert not (tmp_path / "out").exists()


def test_a_refusal_imports_neither_torch_nor_transformers(tmp_path):
    """With the policy's own limit of prompt lengths, as a person runs it."""
    watch = "import sys, atexit\natexit.register(lambda: print(*{'torch', 'transformers'} & set(sys.modules)))\n"
    (tmp_path / "sitecustomize.py").write_text(watch)
    command = [sys.executable, str(ROOT / "recipes" / "prepare.py"), "dataset=folder", "data_root=nowhere",
               f"out={tmp_path / 'out'}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False,
                          env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2 and "images.csv: no such file" in done.stderr
    assert done.stdout == "\n"


def test_the_rows_are_for_the_run_that_made_the_policy(tmp_path):
    """The exported policy of a 3B run says its pixel bounds itself; the tiny policy's are the recipe's default."""
    folder = tmp_path / "run" / "policy"
    folder.mkdir(parents=True)
    size = {"size": {"shortest_edge": 3136, "longest_edge": 50176}, "patch_size": 14, "merge_size": 2}
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": size}))
    write_settings(folder, composed("grpo", "policy=qwen2_5_vl_3b").policy, [])
    small = ("dataset.loader.train=26", "dataset.loader.val=13", "dataset.loader.test=13")
    done = run("prepare", "dataset=phantom", f"policy.path={folder.parent}", f"out={tmp_path / 'out'}", *small)
    assert done.returncode == 0, done.stderr
    policy = json.loads((tmp_path / "out" / "manifest.json").read_text())["policy"]
    assert (policy["name"], policy["min_pixels"], policy["max_pixels"]) == ("qwen2_5_vl_3b", 3136, 50176)


def test_a_wrong_split_gets_the_splits_that_exist(tmp_path):
    small = ("dataset.loader.train=26", "dataset.loader.val=13", "dataset.loader.test=13")
    assert run("prepare", "dataset=phantom", f"out={tmp_path}", *small).returncode == 0
    done = run("show", f"data={tmp_path}", "split=tests")
    assert done.returncode == 2 and "the splits in this folder are train, val, test" in done.stderr


def test_knowledge_review_prints_the_drafts():
    done = run("knowledge", "review=true")
    assert done.returncode == 0 and "entries are drafts" in done.stdout
