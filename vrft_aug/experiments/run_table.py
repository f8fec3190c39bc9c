"""Plans or runs all cells of a table and writes the table's report; recipes/experiments.py calls it."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vrft_aug.configs import flatten
from vrft_aug.data.setting_checks import check_choice, check_names, check_type
from vrft_aug.errors import InputError, RunFailed
from vrft_aug.experiments import plan, submission
from vrft_aug.experiments.cells import Cell, Table, cells
from vrft_aug.experiments.command_line import sort_overrides
from vrft_aug.experiments.compositions import Compositions, compose
from vrft_aug.experiments.follow import Follower
from vrft_aug.experiments.job_folder import JobFolder
from vrft_aug.experiments.runner import ROOT, Runner, is_done
from vrft_aug.experiments.stages import Plan, Stage
from vrft_aug.experiments.survey import TRAININGS, Survey
from vrft_aug.experiments.warm_python import warm_python

BESIDE = ("prepare", "evaluate")  # recipes that train nothing; the second needs the device, if there is one
SHOWN = 3  # refused cells in an error
ONCE = "a cell that trains nothing and answers greedily is the same for each, so it is run with the first alone"


def run_table(config: DictConfig) -> None:
    """Print the plan, or run every cell that is not done yet, here or as jobs of a cluster, and write the report.

    Raises InputError before the first cell runs, for an override that would change nothing and for cells that cannot
    run; RunFailed with the cells that failed and those that did not run. The other cells are done and in the report.
    """
    check_choice("plan", config.plan, (False, True, "commands"))
    check_type("warm", config.warm, bool, "true or false")
    if config.beside is not None:
        check_names("beside", config.beside, BESIDE)
    submission.check(config)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    here = config.warm and not config.plan and not config.submit
    with warm_python(config.hardware) if here else nullcontext(sys.executable) as python:
        _run(config, python)


def _run(config: DictConfig, python: str) -> None:
    """python: starts the recipes that run here; it makes its imports meanwhile."""
    table, chosen = Table.of(config.table), HydraConfig.get().runtime.choices
    if chosen.policy:  # one policy for the whole table
        table = replace(table, policy=chosen.policy, larger_policy=None)
    configs = Compositions(compose)
    common = plan_of(config, configs, table)
    work = once([(cell, common.stages(cell)) for cell in cells(table)], configs)
    survey = Survey(configs)
    if config.plan:
        done = {stage for _, stages in work for stage in stages if is_done(stage)}
        speed = None if config.hardware.device == "cpu" else config.plan_tokens_per_second
        print("\n".join(plan.lines(work, survey, done, plan.Form(config.plan == "commands", speed))))
        if table.several:
            print(f"seeds {', '.join(map(str, table.cell_seeds))}: {ONCE}")
        return
    refuse([(cell, stages) for cell, stages in work if not all(map(is_done, stages))], survey)
    own = [text for text in HydraConfig.get().overrides.task if text.startswith(("table.rows=", "table.claims="))]
    write = partial(report, Path(config.out), chosen.table, table, own=own, python=python)
    if config.submit:
        launcher, folder = submission.choose(config), JobFolder(Path(config.out) / "jobs")
        fill = None if chosen.table == "one" else write  # its report lies in its first cell, which may end last
        failed = Follower(launcher, folder, config.jobs, partial(print, flush=True), fill).run(work)
    else:
        usual = BESIDE if config.hardware.device == "cpu" else BESIDE[:1]
        failed = Runner(print, python, usual if config.beside is None else config.beside).run(work)
    write(work)
    if failed:
        raise RunFailed(f"{len(failed)} of {len(work)} cells failed or did not run: " + "; ".join(failed))


def once(work: Sequence[tuple[Cell, list[Stage]]], configs: Compositions) -> list[tuple[Cell, list[Stage]]]:
    """The work without cells that only repeat another seed's: nothing is trained, the answers are greedy, and the
    prompts list the classes in a fixed order."""

    def repeats(stages: list[Stage]) -> bool:
        if any(stage.recipe in TRAININGS for stage in stages):
            return False
        test = configs.get("evaluate", stages[-1].overrides, ["dataset", "shots", "seed", "out", "parquet"])
        return test.sampling.temperature == 0 and test.prompt.class_order == "fixed"

    first = next((cell.seed for cell, _ in work), None)  # None: the table has one seed
    return [(cell, stages) for cell, stages in work if cell.seed == first or not repeats(stages)]


def plan_of(config: DictConfig, configs: Compositions, table: Table) -> Plan:
    """What all cells have in common. Raises InputError for an override that would change nothing."""
    given = sort_overrides(HydraConfig.get().overrides.task)
    seed = table.seeds[0] if table.seeds else config.seed
    if table.seeds and config.seed not in (0, *table.seeds):
        raise InputError(f"seed={config.seed}: the table's seeds are {table.seeds}; set table.seeds alone")
    hardware = f"hardware={HydraConfig.get().runtime.choices.hardware}"
    return Plan(
        root=Path(config.out),
        configs=configs,
        shared=(hardware, f"data_root={config.data_root}", f"seed={seed}", *given.every,
                *overrides(config.stages)),
        training=(*given.training, *overrides(config.training)),
        tests=tuple(overrides(config.tests)),
        protocol=table.protocol,
        start=given.start,
        sft=("hardware.nodes=1",) if config.hardware.nodes > 1 else (),  # sft.py runs on one node
    )  # fmt: skip


def refuse(work: Sequence[tuple[Cell, list[Stage]]], survey: Survey) -> None:
    """Raise InputError with the cells that cannot run, and why."""
    found = [f"{cell.folder}: {reason}" for cell, stages in work if (reason := survey.refusal(cell, stages))]
    if found:
        more = f"; and {len(found) - SHOWN} more: plan=true shows all" if len(found) > SHOWN else ""
        raise InputError(f"{len(found)} of {len(work)} cells cannot run, so none was started: "
                         f"{'; '.join(found[:SHOWN])}{more}")  # fmt: skip


def report(
    root: Path, name: str, table: Table, work: Sequence[tuple[Cell, list[Stage]]], own: Sequence[str] = (),
    python: str = sys.executable,
) -> None:  # fmt: skip
    """Run recipes/report.py on the cells with results, and on trainings that they share with cells of other tables. The
    report goes to <root>/<name>; for `one` into the cell, of several seeds beside their folders. own: overrides of rows
    and claims, as the command line gave them. python: starts the recipe."""
    done = [cell for cell, _ in work]
    folders = [folder for cell in done if (folder := root / cell.folder).is_dir()]
    if not folders:
        return
    trained = [stage.out for _, stages in work for stage in stages if stage.name == "train" and stage.out.is_dir()]
    shared = dict.fromkeys(out for out in trained if out.parent not in folders)
    runs = f"runs=[{','.join(map(str, (*folders, *shared)))}]"
    keys = ("datasets", "shots", "policy", "larger_policy", "also")
    arguments = [f"table={name}", *(f"table.{key}={json.dumps(getattr(table, key))}" for key in keys), *own]
    arguments += [f"++table.seeds={table.seeds}"] if table.several else []
    out = root / name
    if name == "one" and table.several:
        out = root / replace(done[0], seed=None).folder / "report"
        variant = f",variant:{done[0].variant}" if done[0].variant else ""
        arguments += [f"table.rows=[{{experiment:{done[0].experiment}{variant}}}]"]
    elif name == "one":
        out, arguments = folders[0] / "report", []
    subprocess.run([python, str(ROOT / "recipes" / "report.py"), runs, f"out={out}", *arguments], check=False)


def overrides(tree: DictConfig) -> list[str]:
    """A mapping as overrides of Hydra's command line: {a: {b: 2}} -> ["a.b=2"]."""
    return [f"{key}={json.dumps(value)}" for key, value in flatten(tree).items()]
