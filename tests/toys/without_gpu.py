"""Runs Python as on a machine with flash-attn but without a GPU: the stand-in for flash-attn lies beside this file."""

import os
import subprocess
import sys
from pathlib import Path

from repository import ROOT

TOYS = Path(__file__).parent
STAND_IN = TOYS / "flash_attn_stand_in"
RECORD = "FLASH_ATTN_STAND_IN_RECORD"  # see flash_attn_stand_in/flash_attn/__init__.py


def environment(*folders: Path, **variables: str) -> dict[str, str]:
    """This process's environment on verl's CPU platform, with `folders` first on the PYTHONPATH."""
    path = [*map(str, folders), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    on_cpu = {"VERL_PLATFORM": "cpu", "CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "1"}
    return os.environ | on_cpu | {"PYTHONPATH": os.pathsep.join(path)} | variables


def run(*command: object, env: dict[str, str] | None = None, timeout: float = 1800) -> str:
    """What a Python command prints, its last line last. Fails with all that it said."""
    done = subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, env=env, capture_output=True, text=True,
                          timeout=timeout)  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout.strip()
