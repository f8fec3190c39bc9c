"""Plans or runs all cells of a table and writes the table's report; recipes/experiments.py calls it."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vrft_aug.configs import flatten
from vrft_aug.errors import RunFailed
from vrft_aug.experiments import plan
from vrft_aug.experiments.cells import Cell, Table, cells
from vrft_aug.experiments.runner import ROOT, Runner
from vrft_aug.experiments.stages import Plan

compose = partial(hydra.compose, return_hydra_config=True)  # the config keeps `hydra`, with the chosen files


def run_table(config: DictConfig) -> None:
    """Print the plan, or run every cell that is not done yet and write the report.

    Raises RunFailed with the failed cells; the other cells are done and in the report.
    """
    table, chosen = Table.of(config.table), HydraConfig.get().runtime.choices
    if chosen.policy:  # one policy for the whole table
        table = replace(table, policy=chosen.policy, larger_policy=None)
    shared = [f"hardware={chosen.hardware}", f"data_root={config.data_root}", f"seed={config.seed}"]
    training = [item for item in HydraConfig.get().overrides.task if item.startswith("schedule")]
    common = Plan(Path(config.out), compose, (*shared, *overrides(config.stages)),
                  (*training, *overrides(config.training)), table.protocol)  # fmt: skip
    work = [(cell, common.stages(cell)) for cell in cells(table)]
    runner = Runner(print)
    if config.plan:
        done = {stage for _, stages in work for stage in stages if runner.is_done(stage)}
        print("\n".join(plan.lines(work, compose, done)))
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failed = runner.run(work)
    report(Path(config.out), chosen.table, table, [cell for cell, _ in work])
    if failed:
        raise RunFailed(f"{len(failed)} of {len(work)} cells failed: " + "; ".join(failed))


def report(root: Path, name: str, table: Table, done: list[Cell]) -> None:
    """Run recipes/report.py on the cells with results. The report goes to <root>/<name>, or for `one` into the cell."""
    folders = [folder for cell in done if (folder := root / cell.folder).is_dir()]
    if not folders:
        return
    runs = f"runs=[{','.join(map(str, folders))}]"
    keys = ("datasets", "shots", "policy", "larger_policy")
    whole = [f"out={root / name}", f"table={name}", *(f"table.{key}={json.dumps(getattr(table, key))}" for key in keys)]
    arguments = [runs, f"out={folders[0] / 'report'}"] if name == "one" else [runs, *whole]
    subprocess.run([sys.executable, str(ROOT / "recipes" / "report.py"), *arguments], check=False)


def overrides(tree: DictConfig) -> list[str]:
    """A mapping as overrides of Hydra's command line: {a: {b: 2}} -> ["a.b=2"]."""
    return [f"{key}={json.dumps(value)}" for key, value in flatten(tree).items()]
