"""Sends the prompts and answers kept of a step to verl's trackers, before verl logs the numbers of the same step.

W&B drops what comes for an earlier step than the last, so nothing may come later. The images are made in the thread
that writes the groups; the trackers are called in the trainer's own thread, where MLflow and Trackio know their run.
"""

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from vrft_aug.engine.run.rollouts_file import Group
from vrft_aug.engine.training.rollout_trackers import RolloutTrackers, Shown
from vrft_aug.engine.verl.row_images import RowImages


@dataclass
class TrackedRollouts:
    """Prepares and sends the groups of one training. ready: (split, groups) since the last call of `send`."""

    images: RowImages
    trackers: RolloutTrackers = field(default_factory=RolloutTrackers)
    ready: "list[tuple[str, Future[list[Shown]]]]" = field(default_factory=list)

    def prepare(self, split: str, executor: Executor, written: "Future[list[Group]]") -> None:
        """Make the images of the groups that the executor's one thread writes now, after that."""
        self.ready.append((split, executor.submit(self._shown, written)))

    def _shown(self, written: "Future[list[Group]]") -> list[Shown]:
        try:
            return Shown.of(written.result(), self.images.image)
        except Exception as error:  # a row is damaged: no reason to end a training
            self.trackers.fail("images", error)
            return []

    def send(self, trackers: Mapping[str, Any], step: int) -> None:
        """Wait for what is being prepared, and send it. A validation may have several parts. trackers: verl's."""
        found: dict[str, list[Shown]] = {}
        for split, groups in self.ready:
            found.setdefault(split, []).extend(groups.result())
        self.ready.clear()
        for split, shown in found.items():
            self.trackers.send(trackers, split, step, shown)
