"""Puts a prompt's pretext in the place of the diagnosis: in the data set's description, and in each image."""

from dataclasses import replace

from vrft_aug.data.datasets.image_files import encode_png
from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.degradations import plain
from vrft_aug.data.preparation.opening import Opened
from vrft_aug.data.pretext import PRETEXTS
from vrft_aug.data.seeding import generator
from vrft_aug.data.settings import Dataset, Prompt
from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import QUESTION

LEAST = 8  # pixels of a side


def asked(dataset: Dataset, prompt: Prompt) -> Dataset:
    """The data set as the prompt asks about it: a pretext has a name, a task and classes of its own.

    Everything that follows from the classes of the diagnosis is left out: aliases, knowledge, what screening looks for.
    """
    if not prompt.pretext:
        check_question(dataset, prompt)
        return dataset
    pretext = PRETEXTS[prompt.pretext]
    return replace(dataset, name=f"{dataset.name}-{prompt.pretext}", task=pretext.task, classes=[*pretext.classes],
                   target=pretext.target, aliases={}, knowledge=None, disease=None, harm_of_referral=None)  # fmt: skip


def check_question(dataset: Dataset, prompt: Prompt) -> None:
    """Raise InputError for a prompt that questions cannot have, and for one that asks questions of other data sets."""
    where, asks = f"dataset={dataset.name}", dataset.task == QUESTION
    if asks and (prompt.knowledge or prompt.aliases):
        key = "knowledge" if prompt.knowledge else "aliases"
        raise InputError(f"prompt.{key}=true: {where} has closed questions, whose options differ from row to row and "
                         "have no entry in the knowledge bank; choose prompt=names")  # fmt: skip
    if prompt.task not in (None, QUESTION) and asks:
        raise InputError(f"prompt={prompt.name} asks for a {prompt.task} and {where} has closed questions, without "
                         "boxes or grades; choose prompt=names")  # fmt: skip
    if (prompt.task == QUESTION or prompt.template == "question") and not asks:
        raise InputError(f"prompt={prompt.name} asks closed questions, and {where} has none; choose prompt=names")


def posed(prompt: Prompt, seed: int, sample: Sample, opened: Opened) -> tuple[Sample, Opened]:
    """The sample as the prompt asks about it: with a pretext, the altered image with its ground truth.

    The same seed and source_id give the same image. The fingerprints stay those of the original, so that its copies are
    found in other splits. Raises InputError for an image of fewer than 8 pixels.
    """
    if not prompt.pretext:
        return sample, opened
    if min(opened.size) < LEAST:
        raise InputError(f"{sample.source_id}: an image of {opened.size[0]} x {opened.size[1]} pixels is too small for "
                         f"prompt={prompt.name}; leave it out")  # fmt: skip
    made = PRETEXTS[prompt.pretext].make(plain(opened.encoded), generator(seed, f"{prompt.pretext} {sample.source_id}"))
    return (sample._replace(label=made.label, box=made.box, findings="", readers={}),
            opened._replace(encoded=encode_png(made.image), size=made.image.size))  # fmt: skip
