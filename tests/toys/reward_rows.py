"""Rows (extra_info and ground truth) of the five tasks, as `recipes/prepare.py` writes them."""

from vrft_aug.rewards.objective import Objective, Term
from vrft_aug.rewards.parsing import TASKS, Response

KNOWLEDGE = [
    "irregular dark mass, taller than wide, with spiculated margins",
    "layered fat and gland without any mass",
]
BREAST = {
    "task": "classification",
    "classes": ["malignant", "normal, benign"],
    "knowledge": KNOWLEDGE,
    "aliases": [],
    "prompt": "This is an ultrasound image of the breast. Please identify the category. Categories and their typical "
    f"descriptions are as follows: malignant: {KNOWLEDGE[0]}; normal, benign: {KNOWLEDGE[1]}.",
}
RETINA = {
    "task": "grading",
    "classes": ["0", "1", "2", "3", "4"],
    "knowledge": ["no lesions", "microaneurysms only", "more than microaneurysms", "venous beading", "new vessels"],
    "aliases": [],
    "prompt": "This is a fundus image of the retina. Please grade it: 0: no lesions; 1: microaneurysms only.",
}
LESION = {
    "task": "localization",
    "classes": ["lesion"],
    "knowledge": [],
    "aliases": [],
    "prompt": "Analyze the image and provide the bounding box for the lesion.",
    "image_size": [600, 450],
    "frame_size": [602, 448],
}
PIXELS = LESION | {"frame_size": [600, 450]}  # the frame is the image itself: easy to compute by hand
MASS = {
    "task": "question",
    "classes": ["in the left lung", "none", "in both lungs"],
    "knowledge": [],
    "aliases": [],
    "prompt": "This is a radiology image. Please answer the question based on the image: Where is the mass?",
}
BOX = "[100, 100, 200, 200]"
LESIONS = PIXELS | {"task": "detection"}
BOXES = "[[100, 100, 200, 200], [300, 100, 400, 200]]"


def think(answer: str, thought: str = "I look at the image.") -> str:
    return f"<think>{thought}</think> {answer}"


def token_count(response: Response, ground_truth: str, row: dict) -> float:
    """A toy reward that shows which number of tokens it was given; -1 for none."""
    return -1.0 if response.tokens is None else float(response.tokens)


COUNTING = Objective({task: (Term("token_count", token_count, 1.0),) for task in TASKS}, ("token_count",))
