"""What recipes/experiments.py does: a table's cells, planned or run, and their report."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from vrft_aug.errors import RunFailed
from vrft_aug.experiments import plan
from vrft_aug.experiments.cells import Cell, cells
from vrft_aug.experiments.runner import ROOT, Runner
from vrft_aug.experiments.stages import Plan


def run_table(config: DictConfig) -> None:
    """Print the plan, or run every cell that does not stand yet and write the report of the table.

    Raises RunFailed with the failed cells; the others are done and reported.
    """
    table, chosen = config.table, HydraConfig.get().runtime.choices
    if chosen.policy:  # one policy for the whole table
        table.policy, table.larger_policy = chosen.policy, None
    shared = (f"hardware={chosen.hardware}", f"data_root={config.data_root}", f"seed={config.seed}")
    shared += overrides(config.stages)
    common = Plan(Path(config.out), compose, shared, overrides(config.training), table.protocol)
    work = [(cell, common.stages(cell)) for cell in cells(table)]
    runner = Runner(print)
    if config.plan:
        stands = {stage for _, stages in work for stage in stages if runner.stands(stage)}
        print("\n".join(plan.lines(work, compose, stands)))
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failed = runner.run(work)
    report(Path(config.out), chosen.table, table, [cell for cell, _ in work])
    if failed:
        raise RunFailed(f"{len(failed)} of {len(work)} cells failed: " + "; ".join(failed))


def report(root: Path, name: str, table: DictConfig, done: list[Cell]) -> None:
    """Run recipes/report.py on the cells that have results, into <root>/<name>, or beside the only cell of `one`."""
    folders = [folder for cell in done if (folder := root / cell.folder).is_dir()]
    arguments = [f"runs=[{','.join(map(str, folders))}]", f"out={root / name}"]
    if name == "one":
        arguments[1] = f"out={folders[0] / 'report'}"
    else:
        values = {key: OmegaConf.to_container(table)[key] for key in ("datasets", "shots", "policy", "larger_policy")}
        arguments += [f"table={name}", *(f"table.{key}={json.dumps(value)}" for key, value in values.items())]
    subprocess.run([sys.executable, str(ROOT / "recipes" / "report.py"), *arguments], check=False)


def overrides(tree: DictConfig, prefix: str = "") -> tuple[str, ...]:
    """A mapping as Hydra's command line takes it: {a: {b: 2}} -> ("a.b=2",)."""
    if not isinstance(tree, DictConfig):
        return (f"{prefix.rstrip('.')}={json.dumps(OmegaConf.to_object(tree) if OmegaConf.is_config(tree) else tree)}",)
    return tuple(item for key, value in tree.items() for item in overrides(value, f"{prefix}{key}."))


def compose(root: str, overrides: list[str]) -> DictConfig:
    """A recipe's config inside this one's Hydra app, with `hydra` for its choices."""
    return hydra.compose(root, overrides, return_hydra_config=True)
