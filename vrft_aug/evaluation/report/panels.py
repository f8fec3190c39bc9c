"""Says which metrics of a training have a curve: their titles, units and bounds, and the values as JSON for a page."""

import math
import re
from collections.abc import Sequence

import pandas as pd

from vrft_aug.evaluation.runs import Training
from vrft_aug.rewards.diagnostics import MEANING, NO_BOUND, Bound

NO_PANEL = r"(?!(?:score|response_length|scoring_seconds|.+_spread)$)"  # shown elsewhere, or of no use as a curve
# Pattern of metric names (verl's or our replay buffer's), panel title, y axis, its limits; `{}`: the pattern's groups.
PANELS = [
    (r"critic/score/mean", "Training reward", "mean reward of the rollouts", None),
    (rf"reward/([^/]+)/{NO_PANEL}(.+)", "Rollouts: {1}, {0}", "mean over the rollouts", None),
    (r"val-core/(.+)/acc/mean@\d+", "Validation accuracy: {}", "share correct", (-0.02, 1.02)),
    (r"val-aux/(.+)/thought_right/mean@\d+", "Validation thought: {}", "share that names the findings", (-0.02, 1.02)),
    (r"training/filter_groups/evicted_samples", "Groups of equal scores, replaced", "groups per step", None),
    (r"response_length/mean", "Response length", "tokens", None),
    (r"actor/kl_loss", "KL to the reference policy", "nats per token", None),
    (r"training/rollout_probs_diff_max", "vLLM versus the actor", "largest difference of a token's probability", None),
    (r"actor/rollout_corr/kl", "vLLM versus the actor", "nats per token", None),  # with hardware.skip_old_log_probs
    (r"train/loss", "Training loss", "nats per token", None),
    (r"val/loss", "Validation loss", "nats per token", None),
]


def panels(trainings: Sequence[Training]) -> dict[str, str]:
    """The panels for these trainings' metrics: {metric name: title}, in the order of PANELS."""
    logged = dict.fromkeys(name for one in trainings for name in one.steps.columns)
    names = [name for name in logged if not (name.endswith("/acc") and f"{name}uracy" in logged)]  # the same number
    return {
        name: title.format(*match.groups())
        for pattern, title, *_ in PANELS
        for name in names
        if (match := re.fullmatch(pattern, name))
    }


def by_dataset(trainings: Sequence[Training]) -> dict[str, list[Training]]:
    """{data set: its trainings}; only the lines of one data set share a panel."""
    names = dict.fromkeys(one.facts.dataset for one in trainings)
    return {name: [one for one in trainings if one.facts.dataset == name] for name in names}


def curve_data(trainings: Sequence[Training]) -> list[dict]:
    """The panels in the form of JSON: {"title", "unit", "meaning": of a value outside the bounds, or "",
    "bounds": [low, high], "lines": [{"name", "steps", "values"}]}, values to six significant digits."""
    found = []
    for name, title in panels(trainings).items():
        lines = [
            {"name": one.name, "steps": list(map(int, line.index)), "values": [float(f"{value:.6g}") for value in line]}
            for one, line in ((one, _finite(one.values(name))) for one in trainings)
        ]
        look = {"unit": look_of(name)[0], "meaning": meaning_of(name), "bounds": bounds_of(name, trainings)}
        found.append({"title": title, **look, "lines": lines})
    return found


def look_of(name: str) -> tuple[str, tuple[float, float] | None]:
    """Unit and limits of the y axis of a metric's panel."""
    return next((unit, limits) for pattern, _, unit, limits in PANELS if re.fullmatch(pattern, name))


def bounds_of(name: str, trainings: Sequence[Training]) -> Bound:
    """The bound of a metric that all trainings share; none where they differ (`warn` of conf/grpo.yaml)."""
    found = {one.bound(name) for one in trainings}
    return found.pop() if len(found) == 1 else NO_BOUND


def meaning_of(name: str) -> str:
    """What a value outside the bounds means; "" for a metric that is no sign of reward hacking."""
    return MEANING.get(name.rpartition("/")[2], "") if name.startswith("reward/") else ""


def _finite(line: "pd.Series[float]") -> "pd.Series[float]":
    """JSON has no infinite numbers."""
    return line[line.map(math.isfinite)]
