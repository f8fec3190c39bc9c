"""A training's checkpoints: which are kept, and which one becomes its policy.

verl saves `global_step_<n>` with optimizer, random state and data order, one after the other, and names the newest
whole one in TRACKER. It would delete the oldest, whichever is best; so it is told to keep all, and `prune` deletes.
What is best is read from metrics.jsonl and the folders each time: there is no state that a resumption could lose.
"""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import fmean

from omegaconf import DictConfig, OmegaConf

from vrft_aug.errors import InputError

TRACKER = "latest_checkpointed_iteration.txt"
FORMAT = "global_step_{}"


@dataclass(frozen=True)
class Criterion:
    """What makes a checkpoint the best: verl's metrics that match `pattern`, their mean where they are several.

    name: for the person. better: max or min; of equally good steps the later is taken.
    """

    name: str
    pattern: str
    better: Callable

    def values(self, metrics: Path) -> dict[int, float]:
        """step -> value, of the steps of `metrics` (metrics.jsonl) that were validated."""
        matching = {step: matching for step, data in read_steps(metrics).items() if (matching := self._matching(data))}
        return {step: fmean(values) for step, values in matching.items()}

    def best(self, values: dict[int, float], steps: Iterable[int]) -> int | None:
        """The best of `steps`; None where none was validated."""
        validated = sorted((step for step in steps if step in values), reverse=True)
        return self.better(validated, key=values.__getitem__) if validated else None

    def _matching(self, data: dict) -> list[float]:
        return [value for key, value in data.items() if fnmatchcase(key, self.pattern) and value is not None]


@dataclass(frozen=True)
class Checkpoints:
    """folder: verl's `trainer.default_local_dir`. metrics: the run's metrics.jsonl.

    criterion: of the best checkpoint; None: the last is taken. limit: how many are kept; None: all.
    """

    folder: Path
    metrics: Path
    criterion: Criterion | None
    limit: int | None

    @classmethod
    def of_config(cls, config: DictConfig, limit_key: str, criterion: Criterion) -> "Checkpoints":
        """Those of a training recipe. Raises InputError for settings that would leave no policy."""
        limit, frequency = OmegaConf.select(config, limit_key), config.trainer.save_freq
        if config.keep not in ("best", "last"):
            raise InputError(f"keep={config.keep}: best (on the validation rows) or last")
        if limit is not None and limit < (least := 2 if config.keep == "best" else 1):
            raise InputError(f"{limit_key}={limit}: keep={config.keep} needs {least} or more, or null for all")
        if isinstance(frequency, int) and frequency < 1:
            raise InputError(f"trainer.save_freq={frequency}: 1 or more, since the policy comes from a checkpoint")
        if "file" not in (loggers := config.trainer.logger):
            raise InputError(
                f"trainer.logger={loggers}: keep file in the list, a resumption and `keep` read its metrics"
            )
        folder, metrics = Path(config.trainer.default_local_dir).resolve(), Path(config.out).resolve() / "metrics.jsonl"
        return cls(folder, metrics, criterion if config.keep == "best" else None, limit)

    def path(self, step: int) -> Path:
        return self.folder / FORMAT.format(step)

    def newest(self) -> int:
        """The step of the checkpoint from which verl resumes; 0 where there is none."""
        tracker = self.folder / TRACKER
        return int(tracker.read_text().strip() or 0) if tracker.is_file() else 0

    def saved(self) -> list[int]:
        """Steps with a checkpoint that verl has finished, ascending."""
        newest = self.newest()
        steps = (int(path.name.rpartition("_")[2]) for path in self.folder.glob(FORMAT.format("*")))
        return sorted(step for step in steps if step <= newest and shards(self.path(step)))

    def newest_whole(self, say: Callable[[str], None]) -> int:
        """The step from which verl resumes: the newest whose files are whole and whose metrics were kept.

        Without its metrics a step would be missing in the curves, and without its validation be no candidate for the
        best; verl writes them after the checkpoint, and a kill may come between. A damaged checkpoint is set aside.
        """
        logged = read_steps(self.metrics)
        while step := self.newest():
            if damage := damage_of(self.path(step)):
                reason = f"is not whole ({damage}): set aside"
                self._set_aside(step)
            elif step not in logged:
                reason = "was saved, but the run was killed before its metrics were written"
            else:
                break
            earlier = max((other for other in self.saved() if other < step), default=0)
            self._take_newest(earlier)
            say(f"the checkpoint of step {step} {reason}; going on from step {earlier}")
        return step

    def _set_aside(self, step: int) -> None:
        aside = self.folder / f".damaged_{step}"
        shutil.rmtree(aside, ignore_errors=True)
        if self.path(step).exists():
            self.path(step).rename(aside)

    def _take_newest(self, step: int) -> None:
        """Let verl resume from this step; later ones are written anew."""
        tracker = self.folder / TRACKER
        tracker.with_suffix(".new").write_text(str(step))
        tracker.with_suffix(".new").replace(tracker)

    def chosen(self) -> tuple[int, float | None]:
        """The step whose policy is exported and its validation metric; without one the newest step, and None."""
        if not self.criterion:
            return self.newest(), None
        values = self.criterion.values(self.metrics)
        best = self.criterion.best(values, self.saved())
        return (self.newest(), None) if best is None else (best, values[best])

    def prune(self) -> None:
        """Delete all but `limit` checkpoints: the newest stays, then the best, then the next newest.

        One whose metrics are still to come is not counted, since a resumption would not take it.
        """
        logged = read_steps(self.metrics)
        steps = [step for step in self.saved() if step in logged]
        if self.limit is None or len(steps) <= self.limit:
            return
        kept = list(dict.fromkeys([steps[-1], self.chosen()[0], *reversed(steps)]))[: self.limit]
        for step in set(steps).difference(kept):
            dropped = self.folder / f".dropped_{step}"  # a half-deleted folder is never taken for a checkpoint
            self.path(step).rename(dropped)
            shutil.rmtree(dropped, ignore_errors=True)


def shards(checkpoint: Path) -> Path | None:
    """The folder of the policy's FSDP shards in a checkpoint of GRPO (`actor`) or SFT; None where there is none."""
    return next((path for path in (checkpoint / "actor", checkpoint) if (path / "fsdp_config.json").is_file()), None)


def damage_of(checkpoint: Path) -> str | None:
    """What is missing or altered in a checkpoint; None where it is whole. Reads all of it: torch's files are zip
    archives with a checksum for each tensor."""
    if not (folder := shards(checkpoint)):
        return f"{checkpoint.name} has no fsdp_config.json"
    try:
        ranks = json.loads((folder / "fsdp_config.json").read_text())["world_size"]
    except (ValueError, KeyError):
        return "fsdp_config.json is damaged"
    models = {folder / f"model_world_size_{ranks}_rank_{rank}.pt" for rank in range(ranks)}
    for path in sorted(models | set(checkpoint.rglob("*.pt"))):
        try:
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip() is not None
        except FileNotFoundError:
            return f"{path.name} is missing"
        except (zipfile.BadZipFile, EOFError, OSError, ValueError):
            damaged = True
        if damaged:
            return f"{path.name} is damaged"
    return None


def read_steps(metrics: Path) -> dict[int, dict[str, float]]:
    """step -> metrics, from verl's "file" logger; of two values the later line's counts."""
    steps: dict[int, dict] = {}
    for line in metrics.read_text().splitlines() if metrics.is_file() else ():
        record = json.loads(line)
        steps.setdefault(record["step"], {}).update(record["data"])
    return steps
