"""A wheel of the package scores, prepares images and reads knowledge where neither torch nor verl is installed."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from repository import ROOT

UV = Path(sys.executable).with_name("uv")
OFFLINE = ("Failed to fetch", "error sending request", "the network was disabled")
SOURCES = ("vrft_aug", "conf", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
DRAWN = """
import csv, sys
from pathlib import Path
import numpy as np
from PIL import Image
root = Path("data/folder")
root.mkdir(parents=True)
rows = [("image", "label", "split")]
for i, split in enumerate(["train"] * 6 + ["val"] * 2 + ["test"] * 2):
    Image.fromarray(np.random.default_rng(i).integers(0, 255, (40, 48, 3), np.uint8)).save(root / f"{i}.png")
    rows.append((f"{i}.png", ("negative", "positive")[i % 2], split))
csv.writer(open(root / "images.csv", "w", newline="")).writerows(rows)
"""
USES = {
    "scores an answer": r"""
from vrft_aug.rewards import compute_score
row = {"task": "grading", "classes": ["0", "1", "2", "3", "4"]}
scored = compute_score("retina", r"<think>A few red dots.</think> \boxed{1}", "2", row, objective="mfrs")
assert abs(scored["score"] - (0.9 / 4 + 0.1)) < 1e-9 and scored["prediction"] == "1", scored
""",
    "prepares a folder of images": DRAWN + """
from vrft_aug.configs import compose
from vrft_aug.data.preparation.prepare import prepare
import pyarrow.parquet
manifest = prepare(compose("prepare", ["dataset=folder", "data_root=data", "out=rows"]), None)
rows = pyarrow.parquet.read_table("rows/train.parquet").to_pylist()
assert len(rows) == 6 and rows[0]["reward_model"]["ground_truth"] == "negative", rows
assert Path("rows/manifest.json").is_file() and manifest["files"]["test.parquet"]["rows"] == 2, manifest
""",
    "reads a knowledge entry": """
from vrft_aug.data.knowledge import reading
description = reading.read(reading.BANK / "retina.yaml")["classes"]["2"]["description"]
assert "haemorrhages" in description, description
""",
    "finds the tiny policy, byte for byte": """
from vrft_aug.tiny import shipped
assert "site-packages" in shipped.folder(), shipped.folder()
""",
    "says what MedMNIST needs": """
from vrft_aug.data.datasets.medmnist import info
from vrft_aug.errors import InputError
try:
    info("retinamnist")
except InputError as error:
    assert "[medmnist]" in str(error), error
else:
    raise AssertionError("medmnist is installed here")
""",
    "says what DICOM and NIfTI need": """
from pathlib import Path
from vrft_aug.data.datasets.image_settings import ImageSettings
from vrft_aug.data.datasets.image_source import ImageFile
from vrft_aug.errors import InputError
for name, content in (("a.dcm", bytes(128) + b"DICM" + bytes(200)), ("a.nii", bytes(344) + b"n+1" + bytes(100))):
    Path(name).write_bytes(content)
    try:
        ImageFile(Path(name), ImageSettings()).open()
    except InputError as error:
        assert "vrft-aug[medical]" in str(error), error
    else:
        raise AssertionError("pydicom or nibabel is installed here")
""",
}


def run(*command: str | Path, **options) -> str:
    """The command's output. Its error text is in the failure; a registry that does not answer skips the test."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, **options)
    if done.returncode and any(sign in done.stderr for sign in OFFLINE):
        pytest.skip(f"no package registry answers: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, because setuptools leaves its own folders beside the sources."""
    if not UV.is_file():
        pytest.skip(f"{UV} is not installed; `make setup` installs it")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    run(UV, "build", "--wheel", "--no-build-isolation", "-p", sys.executable, "-o", out, source)
    (file,) = out.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel and its dependencies, in the versions of the lock."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    run(UV, "venv", "-q", "-p", sys.executable, folder)
    run(UV, "pip", "install", "-q", "-p", folder, "-c", ROOT / "requirements" / "cpu.txt", wheel)
    return folder / "bin" / "python"


def test_the_wheel_holds_every_file_of_the_package_and_of_conf(wheel: Path):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("vrft_aug/")}
    files = {path for top in ("vrft_aug", "vrft_aug/conf") for path in (ROOT / top).rglob("*") if path.is_file()}
    wanted = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert wanted - held == set()


@pytest.mark.parametrize("use", USES)
def test_an_installed_wheel(python: Path, use: str, tmp_path: Path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    said = run(python, "-c", f"{USES[use]}\nprint('to the end')", cwd=tmp_path, env=environment)
    assert said.endswith("to the end\n"), "the script asserts what it found"


@pytest.mark.parametrize("package", ["torch", "verl", "vllm", "ray", "medmnist", "sklearn", "pydicom"])
def test_the_training_stack_is_not_there(python: Path, package: str):
    found = run(python, "-c", f"import importlib.util; print(importlib.util.find_spec({package!r}))")
    assert found.strip() == "None"
