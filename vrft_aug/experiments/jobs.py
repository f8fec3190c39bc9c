"""Says which stages of a table must run, and for which of the others each one waits."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.stages import Stage

NAME_LENGTH = 80  # of a name without its hash; Slurm shows longer ones, but nobody reads them


@dataclass(frozen=True)
class Job:
    """One stage that must run. after: the stages that it reads and that must run themselves."""

    stage: Stage
    after: tuple[Stage, ...] = ()

    @property
    def name(self) -> str:
        """The same for the same folder: its last parts, and a hash of the whole path. Letters, digits, `-_.` alone."""
        folder = str(self.stage.out.resolve())
        words = re.sub(r"[^\w.]+", "-", "-".join(self.stage.out.parts[-4:]), flags=re.ASCII).strip("-")
        return f"{words[-NAME_LENGTH:]}-{hashlib.sha256(folder.encode()).hexdigest()[:8]}"


def jobs_of(work: Sequence[tuple[Cell, list[Stage]]], is_done: Callable[[Stage], bool]) -> list[Job]:
    """One job per stage that is not done, or that reads what another job makes anew. Cells that share a stage share
    its job. A job comes after those for which it waits."""
    found: dict[Stage, Job] = {}
    for _, stages in work:
        for place, stage in enumerate(stages):
            after = tuple(one for one in stages[:place] if one in found and reads(stage, one))
            if stage not in found and (after or not is_done(stage)):
                found[stage] = Job(stage, after)
    return list(found.values())


def reads(stage: Stage, other: Stage) -> bool:
    """Whether a stage reads the rows or the policy that another stage of its cell writes."""
    return other.out in stage.reads or f"policy.path={other.out / 'policy'}" in stage.overrides


def failed_cells(work: Sequence[tuple[Cell, list[Stage]]], failed: Mapping[Stage, str]) -> list[str]:
    """One line per cell with a stage that failed. failed: stage -> what says more about it."""
    found, first = [], dict[Stage, str]()
    for cell, stages in work:
        broken = next((stage for stage in stages if stage in failed), None)
        if broken and (where := first.setdefault(broken, cell.folder)) != cell.folder:
            found.append(f"{cell.folder}: not run, since its stage {broken.name} failed in {where}")
        elif broken:
            found.append(f"{cell.folder}: {broken.name} failed: {failed[broken]}")
    return found
