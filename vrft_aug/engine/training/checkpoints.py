"""Chooses which checkpoints of a training are kept, which one it resumes from, and which one becomes its policy.

verl saves folders `global_step_<n>` with policy, optimizer, random state and data order. Its file TRACKER names the
newest complete one. verl would delete the oldest checkpoint even if it is the best; so we let verl keep all of them,
and `prune` deletes. The best is always found from metrics.jsonl and the folders, so a resumption has no state to lose.
"""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isnan
from pathlib import Path
from statistics import fmean

from omegaconf import DictConfig, OmegaConf

from vrft_aug.engine.run import metrics_file
from vrft_aug.engine.training.checkpoint_files import damage_of, shards
from vrft_aug.errors import InputError
from vrft_aug.files import write_whole

TRACKER = "latest_checkpointed_iteration.txt"
FORMAT = "global_step_{}"


@dataclass(frozen=True)
class Criterion:
    """What makes a checkpoint the best: the mean of verl's metrics whose names match `pattern`.

    name: as messages call it. better: max or min; of equally good steps, the later one is the best.
    """

    name: str
    pattern: str
    better: Callable[..., int]

    def values(self, metrics: Path) -> dict[int, float]:
        """step -> value, for each validated step of `metrics` (metrics.jsonl)."""
        values = {}
        for step, data in metrics_file.read_steps(metrics).items():
            logged = [value for name, value in data.items() if fnmatchcase(name, self.pattern) and not isnan(value)]
            if logged:
                values[step] = fmean(logged)
        return values

    def best(self, values: dict[int, float], steps: Iterable[int]) -> int | None:
        """The best of `steps`; None: no step was validated."""
        validated = sorted((step for step in steps if step in values), reverse=True)
        return self.better(validated, key=values.__getitem__) if validated else None


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints in `folder` (verl's `trainer.default_local_dir`) of the run with this metrics.jsonl.

    criterion: for the best checkpoint; None: the last one is exported. limit: how many are kept; None: all.
    """

    folder: Path
    metrics: Path
    criterion: Criterion | None
    limit: int | None

    @classmethod
    def of_config(cls, config: DictConfig, limit_key: str, criterion: Criterion) -> "Checkpoints":
        """The checkpoints of a training recipe. Raises InputError for settings that would leave no policy."""
        limit, frequency = OmegaConf.select(config, limit_key), config.trainer.save_freq
        if config.keep not in ("best", "last"):
            raise InputError(f"keep={config.keep}: must be best (on the validation rows) or last")
        if limit is not None and limit < (least := 2 if config.keep == "best" else 1):
            raise InputError(f"{limit_key}={limit}: keep={config.keep} needs {least} or more, or null for all")
        if isinstance(frequency, int) and frequency < 1:
            raise InputError(f"trainer.save_freq={frequency}: 1 or more, since the policy comes from a checkpoint")
        if "file" not in (loggers := config.trainer.logger):
            raise InputError(f"trainer.logger={loggers}: keep file in the list, resuming and `keep` need its metrics")
        folder, out = Path(config.trainer.default_local_dir).resolve(), Path(config.out).resolve()
        return cls(folder, out / metrics_file.NAME, criterion if config.keep == "best" else None, limit)

    def path(self, step: int) -> Path:
        return self.folder / FORMAT.format(step)

    def newest(self) -> int:
        """The step of the checkpoint from which verl resumes; 0: there is none."""
        tracker = self.folder / TRACKER
        return int(tracker.read_text().strip() or 0) if tracker.is_file() else 0

    def saved(self) -> list[int]:
        """The steps of all complete checkpoints, ascending."""
        newest = self.newest()
        steps = (int(path.name.rpartition("_")[2]) for path in self.folder.glob(FORMAT.format("*")))
        return sorted(step for step in steps if step <= newest and shards(self.path(step)))

    def newest_whole(self, say: Callable[[str], None]) -> int:
        """Let verl resume from the newest checkpoint that is whole and has metrics; return its step.

        A run may be killed between its checkpoint and its metrics. Then the curves would lack the step, and it could
        not be the best. A damaged checkpoint is moved away.
        """
        logged = metrics_file.read_steps(self.metrics)
        while step := self.newest():
            if damage := damage_of(self.path(step)):
                reason = f"is not whole ({damage}) and was moved away"
                self._move_away(step)
            elif step not in logged:
                reason = "was saved, but the run was killed before its metrics were written"
            else:
                break
            earlier = max((other for other in self.saved() if other < step), default=0)
            write_whole(self.folder / TRACKER, str(earlier))
            say(f"the checkpoint of step {step} {reason}; resuming from step {earlier}")
        return step

    def _move_away(self, step: int) -> None:
        aside = self.folder / f".damaged_{step}"
        shutil.rmtree(aside, ignore_errors=True)
        if self.path(step).exists():
            self.path(step).rename(aside)

    def chosen(self) -> tuple[int, float | None]:
        """The step whose policy is exported, and its validation metric. Without validation: the newest, and None."""
        if not self.criterion:
            return self.newest(), None
        values = self.criterion.values(self.metrics)
        best = self.criterion.best(values, self.saved())
        return (self.newest(), None) if best is None else (best, values[best])

    def to_come(self, steps: range, frequency: int | str) -> int:
        """How many more checkpoints must fit on the disk to train `steps`: those that are kept (2 if all are), and one,
        because the oldest is deleted when the newest is whole. frequency: `trainer.save_freq`."""
        saves = sum(isinstance(frequency, str) or step % frequency == 0 or step == steps[-1] for step in steps)
        return min(saves, max((self.limit or 2) - len(self.saved()), 0) + 1)

    def prune(self) -> None:
        """Delete all but `limit` checkpoints. The newest stays, then the best, then the next newest.

        A checkpoint without metrics does not count, because no run would resume from it.
        """
        logged = metrics_file.read_steps(self.metrics)
        steps = [step for step in self.saved() if step in logged]
        if self.limit is None or len(steps) <= self.limit:
            return
        kept = list(dict.fromkeys([steps[-1], self.chosen()[0], *reversed(steps)]))[: self.limit]
        for step in set(steps).difference(kept):
            dropped = self.folder / f".dropped_{step}"  # so that a half-deleted folder is not mistaken for a checkpoint
            self.path(step).rename(dropped)
            shutil.rmtree(dropped, ignore_errors=True)
