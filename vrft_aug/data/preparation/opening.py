"""Encodes the images of samples and takes their fingerprints, in the samples' order; many images on all cores.

It uses processes, not threads: the encoder holds Python's lock for each image, so a second thread would not speed up
small images. This process reads a source from front to back. The others get pixels, or the path of a file to open.
"""

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import connection
from typing import NamedTuple

import numpy as np

from vrft_aug.data.datasets.image_files import open_image
from vrft_aug.data.datasets.picture import Picture, Reading, Source
from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation import leakage
from vrft_aug.errors import InputError

MANY = 4096  # from this number of images on, processes are worth the second that they take to start
BATCH_VALUES = 3 << 16  # pixel values per batch: one large image, or dozens of small ones, which are faster together
BATCH_FILES = 4  # files per batch
AHEAD = 32  # batches that wait for each process, so that none is idle while this one finishes a shard


class Opened(NamedTuple):
    """An image as rows need it: encoded, its size (width, height), and its fingerprints (see leakage).

    note: what the encoding changed, for a warning "<number> images: <note>"; "" if nothing (see image_files.Picture).
    reading: how an image of more than 8 bits, or one of several, was read; None for others.
    """

    encoded: bytes
    size: tuple[int, int]
    exact: bytes
    near: bytes
    note: str = ""
    reading: Reading | None = None


Result = Opened | InputError  # the error of an unreadable image; the caller decides whether it goes on
OpenImages = Callable[[Iterable[Sample]], Iterator[tuple[Sample, Result]]]


class ProcessEnded(InputError):
    """A process that encodes images ended: what is finished remains good."""


@contextmanager
def image_opener(workers: int | None, images: int) -> Iterator[OpenImages]:
    """A function from samples to samples with their opened images, or with the InputError of an unreadable image.

    workers: number of processes that open images; 0: this process opens them; None: one per core from MANY images on.
    """
    if workers is None:
        workers = cores() if images >= MANY else 0
    if not workers:
        yield open_here
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=end_with_parent)
    try:
        yield partial(open_ahead, pool, AHEAD * workers)
    except BrokenProcessPool:
        raise ProcessEnded(f"workers={workers}: a process that encodes images ended: memory ran out, or the calling "
                           "script lacks `if __name__ == '__main__':`; workers=0 needs no other process") from None
    finally:
        pool.shutdown(cancel_futures=True)


def open_here(samples: Iterable[Sample]) -> Iterator[tuple[Sample, Result]]:
    for batch, images in batches(samples):
        yield from zip(batch, open_all(images), strict=True)


def open_ahead(pool: Executor, ahead: int, samples: Iterable[Sample]) -> Iterator[tuple[Sample, Result]]:
    """Keep `ahead` batches in the pool while the caller works on one."""
    waiting: deque[tuple[list[Sample], Future[list[Result]]]] = deque()
    for batch, images in batches(samples):
        waiting.append((batch, pool.submit(open_all, images)))
        if len(waiting) > ahead:
            earlier, opened = waiting.popleft()
            yield from zip(earlier, opened.result(), strict=True)
    for earlier, opened in waiting:
        yield from zip(earlier, opened.result(), strict=True)


def batches(samples: Iterable[Sample]) -> Iterator[tuple[list[Sample], list[Source]]]:
    """Small lists of samples, with their pixels or paths."""
    batch: list[Sample] = []
    images: list[Source] = []
    filled = 0.0
    for sample in samples:
        image = sample.source()
        batch.append(sample)
        images.append(image)
        filled += image.size / BATCH_VALUES if isinstance(image, np.ndarray) else 1 / BATCH_FILES
        if filled >= 1:
            yield batch, images
            batch, images, filled = [], [], 0.0
    if batch:
        yield batch, images


def open_all(images: Sequence[Source]) -> list[Result]:
    """Read and encode images and take their fingerprints, in this process or in another."""
    pictures = [open_or_error(image) for image in images]
    readable = [picture for picture in pictures if isinstance(picture, Picture)]
    near = iter(leakage.near_hashes([picture.image for picture in readable]) if readable else ())
    return [Opened(picture.encoded, picture.image.size, hashlib.sha256(picture.encoded).digest()[:16], next(near),
                   picture.note, picture.reading) if isinstance(picture, Picture) else picture for picture in pictures]


def open_or_error(image: Source) -> Picture | InputError:
    try:
        return open_image(image)
    except InputError as error:
        return error


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_with_parent() -> None:
    """Ignore Ctrl-C, which the parent handles, and end when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=lambda: connection.wait([parent.sentinel]) and os._exit(1), daemon=True).start()
