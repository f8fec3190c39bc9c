"""Changes a number of a reward in a straight line during a training: a threshold that tightens, for example.

A file of conf/objective gives the number as a mapping:

    iou: {threshold: {from: 0.3, to: 0.75, over: 0.5}}   # 0.3 at the first step, 0.75 after half of the steps

The value follows from the step alone, so a resumed training continues with it, and all processes agree on it. Whatever
does not train the policy is scored with the last value: validation, evaluation, a probe. So it can be compared.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vrft_aug.errors import InputError
from vrft_aug.rewards.row import ExtraInfo

KEYS = ("from", "to", "over")


@dataclass(frozen=True)
class Schedule:
    """A number that goes from `start` to `end` during the first share `over` of a training, and then stays."""

    start: float
    end: float
    over: float

    @staticmethod
    def of(where: str, spec: Mapping[str, Any]) -> "Schedule":
        """Read {from, to, over}. where: its key, for errors. Raises InputError for another key or value."""
        numbers = [float(spec[key]) for key in KEYS if is_number(spec.get(key))]
        if set(spec) != set(KEYS) or len(numbers) < len(KEYS) or not 0 < numbers[2] <= 1:
            raise InputError(f"{where}: a schedule is {{from: <number>, to: <number>, over: <share of the training's "
                             f"steps, above 0 and up to 1>}}, found {dict(spec)!r}")  # fmt: skip
        return Schedule(*numbers)

    def at(self, progress: float | None) -> float:
        """The value when this share of the training is done (0: first step, 1: last step); None: the last value."""
        done = 1.0 if progress is None else min(1.0, progress / self.over)
        return (1 - done) * self.start + done * self.end


def progress(row: ExtraInfo, step: int, steps: int) -> float | None:
    """The share of the training that is done in `step`, from 0 in step 1 to 1 in step `steps` and beyond.

    None for a row of another split than train, which does not train the policy.
    """
    if row.get("split") != "train":
        return None
    return min(1.0, (step - 1) / max(1, steps - 1))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
