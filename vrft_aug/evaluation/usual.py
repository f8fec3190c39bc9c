"""Says what an evaluation is compared with unless its settings say otherwise: conf/evaluate.yaml asks these functions.

Many closed questions can be guessed from their words alone. So questions are also answered with the image blanked (text
only), and by the option prior.
"""

from vrft_aug.rewards.parsing import QUESTION


def conditions(task: str) -> list[str]:
    """The names of answers/conditions.py for a data set with this task."""
    return ["shuffled", "blank"] if task == QUESTION else ["shuffled"]


def opponents(task: str) -> list[str]:
    """The names of answers/opponents.py for a data set with this task."""
    return ["prior"] if task == QUESTION else ["pixels"]


def all_opponents(task: str) -> list[str]:
    """All that can answer a data set with this task."""
    return opponents(task) if task == QUESTION else ["pixels", "features"]
