"""The recipes of the data stage, run as a person runs them."""

import json
import subprocess
import sys

import pytest
from PIL import Image
from repository import ROOT


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
    assert (tmp_path / "prepared" / "phantom-names-None" / "manifest.json").exists()


def test_show_draws_a_sheet(tmp_path):
    small = ("dataset.loader.train=26", "dataset.loader.val=13", "dataset.loader.test=13")
    assert run("prepare", "dataset=phantom", "prompt=localize", f"out={tmp_path}", *small).returncode == 0
    done = run("show", f"data={tmp_path}", "images=12")
    assert done.stdout.strip() == str(tmp_path / "train.png"), done.stderr
    sheet = Image.open(tmp_path / "train.png").convert("RGB")
    assert (255, 0, 0) in {colour for _, colour in sheet.getcolors(1 << 20)}  # the boxes
    assert run("show", f"data={tmp_path}", "split=dev").returncode == 2


@pytest.mark.parametrize(("arguments", "message"), [
    (("dataset=retina", "data_root=nowhere"), "retinamnist.npz: no such file; get it with `make data"),
    (("dataset=retinas",), "retina"),
    (("prompt=knowlege",), "knowledge"),
    (("protocol=papers",), "protocol=papers: must be one of full, paper"),
    (("export=csv",), "export=csv: must be one of null, easyr1, trl"),
    (("shotz=10",), "shotz"),
])
def test_a_slip_gets_one_line_and_exit_code_2(tmp_path, arguments, message):
    done = run("prepare", f"out={tmp_path / 'out'}", *arguments)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and message in lines[0]
    assert not (tmp_path / "out").exists()


def test_knowledge_review_prints_the_drafts():
    done = run("knowledge", "review=true")
    assert done.returncode == 0 and "entries are drafts" in done.stdout
