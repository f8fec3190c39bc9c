"""A checkout in which `make setup` installs nothing: stand-ins for Python, uv, nvcc and nvidia-smi note their calls."""

import shutil
import subprocess
from pathlib import Path

from repository import ROOT

TOOLS = "awk basename bash cat cp dirname env grep make mkdir nproc paste rm sed sh sort touch tr"
# What some targets need.
ARGUMENTS = ["DATA=rows", "FOLDER=/shared", "POLICY=runs/policy", "RUN=runs/one", "TABLE=table3"]
NOTE = 'echo "$(basename "$0") $*" >> "$CALLS"; [[ -z ${FAKE_FAILS:-} || "$*" != *"$FAKE_FAILS"* ]] || exit 1\n'
FAKES = {
    # It creates an environment of itself and of uv.
    "python3": NOTE
    + """
        [[ "$1 $2" == "-m venv" ]] || exit 0
        mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; cp "$(dirname "$0")/uv" "$3/bin/uv" """,
    # It notes the packages that it reads, and the variables that flash-attn's build reads.
    "uv": NOTE
    + """
        [[ "$*" != *"-r -"* ]] || sed "s/^/  locked /" >> "$CALLS"
        [[ "$*" != *flash-attn* ]] || env | grep -E "^(FLASH|MAX_JOBS)" | sort >> "$CALLS" """,
    "nvcc": 'echo "Cuda compilation tools, release ${FAKE_CUDA:-13.0}, V${FAKE_CUDA:-13.0}.1"',
    "nvidia-smi": '[[ ${FAKE_GPUS:-} ]] || { echo "NVIDIA-SMI has failed"; exit 9; }; printf "%s\\n" $FAKE_GPUS',
    "g++": "",
}


def checkout(folder: Path) -> Path:
    """Copy the files that a set-up reads into `folder`, and put the stand-ins into its folder `bin`."""
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    shutil.copytree(ROOT / "conf", folder / "conf")
    for name in ("Makefile", "setup.cfg"):
        shutil.copy2(ROOT / name, folder / name)
    (folder / "bin").mkdir()
    for tool in TOOLS.split():
        (folder / "bin" / tool).symlink_to(str(shutil.which(tool)))
    for name, body in FAKES.items():
        (folder / "bin" / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (folder / "bin" / name).chmod(0o755)
    return folder


def make(folder: Path, *words: str, **env: str) -> tuple[int, list[str], list[str]]:
    """Exit code, error lines but make's own, and the stand-ins' notes, of `make <words>` with nothing else on PATH.

    FAKE_GPUS: compute capability per GPU; FAKE_CUDA: version of nvcc; FAKE_FAILS: a call with these words fails.
    """
    calls = folder / "calls.txt"
    calls.write_text("")
    variables = {"PATH": str(folder / "bin"), "CALLS": str(calls), "FAKE_GPUS": "8.0 8.0", "LC_ALL": "C"} | env
    done = subprocess.run(["make", *words], cwd=folder, env=variables, capture_output=True, text=True, timeout=60)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    return done.returncode, errors, calls.read_text().splitlines()


def dry(folder: Path, *words: str) -> str:
    """What make would run."""
    command = ["make", "-n", *words, *ARGUMENTS]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout
