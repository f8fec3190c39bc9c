"""Says whether this machine can run a hardware profile: python -m vrft_aug.engine.run.doctor [--hardware cpu] [--quick]

It prints one line per check: what it found, and what to do about a problem. Exit code: 1 if there is a problem, else 0.
It must work in a broken environment. So each check imports what it needs beyond the standard library, and a check that
fails is a problem itself. The full examination also loads the plugins, each in a new process, which imports verl and
vLLM. With `--quick` (make quickstart), the doctor only looks whether they are registered, and prints only problems.
"""

import argparse
import functools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vrft_aug.engine.run import install_checks as install
from vrft_aug.engine.run import machine_checks as machine
from vrft_aug.engine.run.machine_checks import Verdict


def main() -> None:
    profiles = sorted(path.stem for path in (install.ROOT / "conf" / "hardware").glob("*.yaml"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hardware", default="cpu", choices=profiles, help="profile of conf/hardware")
    parser.add_argument("--quick", action="store_true", help="do not load the plugins; print only problems")
    arguments = parser.parse_args()
    sys.exit(report(checks(arguments.hardware, arguments.quick), arguments.quick))


def report(todo: dict[str, Callable[[], Verdict]], quick: bool = False) -> int:
    """Print one line per check (`quick`: per problem) and a summary. Returns 1 if there is a problem, else 0."""
    problems = 0
    for name, check in todo.items():
        try:
            found, remedy = check()
        except Exception as error:
            why = " ".join(str(error).split())
            found, remedy = f"cannot be checked: {type(error).__name__}: {why}", "run `make setup`"
        problems += bool(remedy)
        if remedy or not quick:
            print(f"{'problem' if remedy else 'ok':8} {name:16} {found}{remedy and '; ' + remedy}", flush=True)
    few = f"{problems} problem{'s' * (problems != 1)}" if problems else "no problem"
    print(f"doctor: {len(todo)} checks, {few}{' (make doctor shows all)' if quick and problems else ''}")
    return min(problems, 1)


def checks(hardware: str, quick: bool) -> dict[str, Callable[[], Verdict]]:
    """The checks for a profile of conf/hardware, in the order of the report."""

    @functools.cache
    def profile() -> Any:
        from vrft_aug.configs import compose

        return compose(f"hardware/{hardware}").hardware

    light = {
        "Python": lambda: machine.python(sys.version_info[:3]),
        "cores": machine.cores,
        "memory": lambda: machine.memory(profile().min_free_gigabytes),
        "shared memory": lambda: machine.shared_memory(profile().weight_bucket_megabytes),
        "working folder": lambda: machine.folder(Path.cwd(), machine.WORKING_GIB),
        "temporary folder": lambda: machine.temporary_folder(Path(tempfile.gettempdir())),
        "ports": machine.ports,
        "GPU": lambda: machine.gpu(profile().device),
        "versions": lambda: install.versions(install.LOCKS / ("cpu.txt" if profile().device == "cpu" else "gpu.txt")),
        "patches": lambda: install.patches(profile().device),
        "verl's plugin": lambda: install.registered("verl.plugins"),
        "vLLM's plugin": lambda: install.registered("vllm.general_plugins"),
    }
    loading = {
        "verl loads it": lambda: install.loads("verl.plugins", profile().env),
        "vLLM loads it": lambda: install.loads("vllm.general_plugins", profile().env),
    }
    return light if quick else light | loading


if __name__ == "__main__":
    main()
