"""Runs `make gpu-check` on a CPU with stand-ins, and compares the documentation's page with what it writes."""

import os
import re
import subprocess

import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

pytestmark = pytest.mark.slow

QUESTION = re.compile(r"^\| (yes|–|\*\*no\*\*) \| ([^|]+) \|", re.MULTILINE)


def test_the_gpu_check_passes_with_stand_ins(tmp_path):
    command = ["make", "gpu-check", "HARDWARE=cpu_stand_ins", f"RUNS={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    page = (tmp_path / "gpu_check" / "gpu_check.md").read_text()
    found = dict(map(reversed, QUESTION.findall(page)))
    assert set(found.values()) == {"yes", "–"} and found["sleeping and waking return memory"] == "–"
    documented = (ROOT / "docs" / "gpu-check.md").read_text()
    assert dict(map(reversed, QUESTION.findall(documented))) == found
    assert all(f"| {question} |" in documented for question in found)
