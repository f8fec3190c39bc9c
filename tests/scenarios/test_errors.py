"""Bad input gives an error of one line and exit code 2, and leaves nothing half-written."""

import subprocess
import sys

import pytest
from repository import ROOT


def refused(recipe: str, *overrides: str) -> str:
    """Run a recipe that must refuse its input, and return its error line."""
    command = [sys.executable, str(ROOT / "recipes" / f"{recipe}.py"), *overrides]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "Traceback" not in done.stderr
    return line


@pytest.mark.parametrize(
    ("override", "known"),
    [("dataset=retinas", "retina"), ("objective=acuracy", "recite_neg"), ("policy=huge", "qwen2_5_vl_3b")],
)
def test_an_unknown_choice_names_the_known_ones(tmp_path, override, known):
    line = refused("grpo", override, f"out={tmp_path / 'out'}")
    group, name = override.split("=")
    assert f"Could not find '{group}/{name}'" in line and known in line
    assert not (tmp_path / "out").exists()


def test_a_folder_without_rows(tmp_path):
    pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
    line = refused("grpo", f"parquet={tmp_path}", f"out={tmp_path / 'out'}")
    assert "train.parquet does not exist" in line and "prepare.py" in line


def test_a_folder_without_a_policy(tmp_path):
    import pandas as pd

    pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
    for split in ("train", "val"):
        pd.DataFrame({"prompt": range(300)}).to_parquet(tmp_path / f"{split}.parquet")
    line = refused("grpo", f"parquet={tmp_path}", f"policy.path={tmp_path}", f"out={tmp_path / 'out'}")
    assert "no config.json" in line


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
