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

LEAST = 8  # pixels of a side


def asked(dataset: Dataset, prompt: Prompt) -> Dataset:
    """The data set as the prompt asks about it: a pretext has a name, a task and classes of its own.

    Everything that follows from the classes of the diagnosis is left out: aliases, knowledge, what screening looks for.
    """
    if not prompt.pretext:
        return dataset
    pretext = PRETEXTS[prompt.pretext]
    return replace(dataset, name=f"{dataset.name}-{prompt.pretext}", task=pretext.task, classes=[*pretext.classes],
                   target=pretext.target, aliases={}, knowledge=None, disease=None, harm_of_referral=None)  # fmt: skip


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
