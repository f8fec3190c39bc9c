"""Pretext tasks: questions about an image whose answers are known because we altered it. They need no label.

A module per task: one pure function from an image and random numbers to the altered image and its ground truth.
"""

from vrft_aug.data.pretext import find_sharp, jigsaw, restore, rotation
from vrft_aug.data.pretext.pretext_task import Pretext

PRETEXTS: dict[str, Pretext] = {
    "restore": restore.PRETEXT,
    "find_sharp": find_sharp.PRETEXT,
    "rotation": rotation.PRETEXT,
    "jigsaw": jigsaw.PRETEXT,
}
