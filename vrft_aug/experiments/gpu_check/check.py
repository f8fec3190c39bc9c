"""Runs the GPU check: refuses a machine that cannot, runs the trials, judges them and writes gpu_check.md."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vrft_aug.data.setting_checks import check_number
from vrft_aug.data.settings import Policy
from vrft_aug.engine.run import gpu_checks, preflight, profile_checks
from vrft_aug.errors import InputError, RunFailed
from vrft_aug.experiments import memory
from vrft_aug.experiments.command_line import sort_overrides
from vrft_aug.experiments.compositions import compose
from vrft_aug.experiments.gpu_check.judgements import Finding, findings
from vrft_aug.experiments.gpu_check.sheet import Page, markdown
from vrft_aug.experiments.gpu_check.start import find_start
from vrft_aug.experiments.gpu_check.trials import Trials
from vrft_aug.experiments.runner import ROOT
from vrft_aug.experiments.stages import Stage
from vrft_aug.files import write_whole

NAME = "gpu_check.md"


def check(config: DictConfig) -> None:
    """Try the profile and write <out>/gpu_check.md. config: of gpu_check.yaml.

    Raises InputError, before anything is written, for a machine or settings that cannot work; RunFailed where a run
    fails or a finding is not as it should be.
    """
    folder = Path(config.out).resolve()
    choices = HydraConfig.get().runtime.choices
    _refuse(config, folder)
    said = _ask_doctor(choices.hardware)
    folder.mkdir(parents=True, exist_ok=True)
    start, what = find_start(Policy.of(config.policy), folder / "start", print)
    given = (f"hardware={choices.hardware}", f"policy={choices.policy}", *_given(HydraConfig.get().overrides.task))
    trials = Trials.of(config, given, start)
    seconds = {stage.name: _run(stage) for stage in trials.stages}
    estimate = memory.estimate(compose("grpo", [*given, f"policy.path={start}"]))
    found = findings(folder, config.hardware, estimate)
    machine = _machine(config, what, folder / "grpo")
    page = Page(machine, said, found, seconds, estimate, config.hardware, config.policy.name)
    write_whole(folder / NAME, markdown(page, folder))
    _conclude(found, folder / NAME)


def _given(overrides: Sequence[str]) -> tuple[str, ...]:
    """The keys of hardware and policy on the command line, as overrides of every run."""
    chosen = [one for one in overrides if one.lstrip("+~").startswith(("hardware.", "policy."))]
    return sort_overrides([one for one in chosen if not one.startswith("policy.path=")]).every


def _refuse(config: DictConfig, folder: Path) -> None:
    for key in ("prompts", "answers"):
        check_number(key, config[key], 2)
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"out={folder} is not empty: a check begins anew; choose another out, or remove that folder")
    preflight.prepare_environment(config.hardware)
    profile_checks.check_machine(config.hardware)


def _ask_doctor(hardware: str) -> str:
    """What the doctor says. It runs in a process of its own, which has not started Hydra. Raises InputError for a
    problem."""
    command = [sys.executable, "-m", "vrft_aug.engine.run.doctor", "--hardware", hardware]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, end="", flush=True)
    if done.returncode:
        raise InputError(f"hardware={hardware}: the doctor found a problem, see above{done.stderr[-500:]}")
    return done.stdout


def _run(stage: Stage) -> float:
    """Run a stage; returns its seconds. Raises RunFailed with its command."""
    print(f"gpu-check: {stage.name}", flush=True)
    began = time.monotonic()
    recipe, *overrides = stage.command
    if subprocess.run([sys.executable, str(ROOT / recipe), *overrides], check=False).returncode:
        raise RunFailed(f"{stage.name} failed: python {' '.join(stage.command)}")
    return time.monotonic() - began


def _machine(config: DictConfig, policy: str, run: Path) -> list[tuple[str, str]]:
    """What was checked, and on what. run: one of the trials, whose run.json has the versions."""
    record = json.loads((run / "run.json").read_text())
    cuda = gpu_checks.look() if config.hardware.device == "cuda" else None
    device = cuda.devices[0].name if cuda and cuda.devices else config.hardware.device
    driver = [("driver", gpu_checks.driver(cuda, config.hardware.name)[0])] if cuda else []
    host = f"{platform.machine()}, {os.cpu_count()} CPUs, {round(psutil.virtual_memory().total / preflight.GIB)} GiB"
    return [("device", device), ("host", host), *driver, ("policy", policy), *record["versions"].items(),
            ("commit", record["git_commit"] or "not known"), ("ended", record["ended"])]  # fmt: skip


def _conclude(found: list[Finding], page: Path) -> None:
    for one in found:
        mark = {True: "ok", False: "PROBLEM", None: "-"}[one.ok]
        print(f"{mark:8} {one.question}: {one.found}{one.wanted and f' (wanted: {one.wanted})'}")
    print(f"gpu-check: {page}")
    if wrong := [one.question for one in found if one.ok is False]:
        raise RunFailed(f"{len(wrong)} of {len(found)} findings are not as they should be: {'; '.join(wrong)}")
