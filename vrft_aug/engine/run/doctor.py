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
    todo = checks(arguments.hardware, arguments.quick)
    sys.exit(report(todo, arguments.quick, setup_of(arguments.hardware)))


def setup_of(hardware: str) -> str:
    """The command that makes the environment of a profile."""
    return "make setup" if hardware == "cpu" else f"make setup HARDWARE={hardware}"


def report(todo: dict[str, Callable[[], Verdict]], quick: bool = False, setup: str = "make setup") -> int:
    """Print one line per check (`quick`: per problem) and a summary. Returns 1 if there is a problem, else 0."""
    problems = 0
    for name, check in todo.items():
        try:
            found, remedy = check()
        except Exception as error:
            why = " ".join(str(error).split())
            found, remedy = f"cannot be checked: {type(error).__name__}: {why}", f"run `{setup}`"
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

    def of_the_profile() -> dict[str, Callable[[], Verdict]]:
        try:
            from vrft_aug.engine.run.profile_checks import checks

            return checks(profile())
        except Exception:  # the report says which
            return {"profile": profile}

    light = {
        "Python": lambda: machine.python(sys.version_info[:3]),
        "cores": machine.cores,
        "memory": lambda: machine.memory(needs(profile())[0]),
        "shared memory": lambda: machine.shared_memory(profile().weight_bucket_megabytes),
        "working folder": lambda: machine.folder(Path.cwd(), needs(profile())[1]),
        "temporary folder": lambda: machine.temporary_folder(Path(tempfile.gettempdir())),
        "ports": machine.ports,
        "GPU": machine.gpu,
        **of_the_profile(),  # its "GPU" is in place of the line above
        "versions": lambda: install.versions(lock_of(profile()), setup_of(hardware)),
        "patches": lambda: install.patches(profile().device),
        "verl's plugin": lambda: install.registered("verl.plugins"),
        "vLLM's plugin": lambda: install.registered("vllm.general_plugins"),
    }
    loading = {
        "verl loads it": lambda: install.loads("verl.plugins", profile().env),
        "vLLM loads it": lambda: install.loads("vllm.general_plugins", profile().env),
    }
    return light if quick else light | loading


def lock_of(profile: Any) -> Path:
    return install.LOCKS / ("cpu.txt" if profile.device == "cpu" else "gpu.txt")


def needs(profile: Any) -> tuple[float, float]:
    """GiB of memory and of disk for a run; on a GPU one of the paper's policy, with three checkpoints."""
    if profile.device == "cpu":
        return profile.min_free_gigabytes, machine.WORKING_GIB
    from vrft_aug.configs import compose
    from vrft_aug.engine.run import policy_size

    paper = compose("policy/qwen2_5_vl_3b").policy.path
    loading, saved = policy_size.host_bytes(paper, profile, "grpo"), 3 * policy_size.checkpoint_bytes(paper, profile)
    return profile.min_free_gigabytes + round(loading / machine.GIB), round(saved / machine.GIB)


if __name__ == "__main__":
    main()
