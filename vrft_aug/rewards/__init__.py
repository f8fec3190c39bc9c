"""Rewards: one module and one pure function each, composed per task by an objective. Needs neither torch nor verl."""

from vrft_aug.rewards.objective import Objective, compose
from vrft_aug.rewards.score import compute_score

__all__ = ["Objective", "compose", "compute_score"]
