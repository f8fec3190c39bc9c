"""Samples -> encoded images with fingerprints, in the samples' order; many images on all cores.

Processes and not threads: the encoder takes Python's lock for each image, so a second thread would gain a small image
nothing. A source is read here, from front to back; a process gets pixels, or the path of a file that it opens itself.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import connection
from pathlib import Path
from typing import NamedTuple

from vrft_aug.data.datasets.image_files import Pixels, open_image
from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation import leakage
from vrft_aug.errors import InputError

MANY = 4096  # images from which on processes, which take a second to start, pay
BATCH_VALUES = 3 << 16  # of pixels: one large image, or dozens of small ones, which go faster many at once
BATCH_FILES = 4
AHEAD = 3  # batches that wait for each process


class Opened(NamedTuple):
    """An image as rows need it: encoded, (width, height), and its fingerprints (see leakage)."""

    encoded: bytes
    size: tuple[int, int]
    exact: bytes
    near: bytes


OpenImages = Callable[[Iterable[Sample]], Iterator[tuple[Sample, Opened]]]


@contextmanager
def image_opener(workers: int | None, images: int) -> Iterator[OpenImages]:
    """A function from samples to samples with their opened images; it raises InputError for one it cannot read.

    workers: processes that open images; 0 opens them in this one, None takes one a core for MANY images, else none.
    """
    if workers is None:
        workers = cores() if images >= MANY else 0
    if not workers:
        yield open_here
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent)
    try:
        yield partial(open_ahead, pool, AHEAD * workers)
    except BrokenProcessPool:
        raise InputError(f"workers={workers}: a process that encodes images ended: for want of memory, or because the "
                         "calling script lacks `if __name__ == '__main__':`; workers=0 does without") from None
    finally:
        pool.shutdown(cancel_futures=True)


def open_here(samples: Iterable[Sample]) -> Iterator[tuple[Sample, Opened]]:
    for batch, images in batches(samples):
        yield from zip(batch, open_all(images), strict=True)


def open_ahead(pool: Executor, ahead: int, samples: Iterable[Sample]) -> Iterator[tuple[Sample, Opened]]:
    """Keeps `ahead` batches in the pool while the caller works on one."""
    waiting = deque()
    for batch, images in batches(samples):
        waiting.append((batch, pool.submit(open_all, images)))
        if len(waiting) > ahead:
            batch, opened = waiting.popleft()
            yield from zip(batch, opened.result(), strict=True)
    for batch, opened in waiting:
        yield from zip(batch, opened.result(), strict=True)


def batches(samples: Iterable[Sample]) -> Iterator[tuple[list[Sample], list[Pixels | Path]]]:
    """Samples in small lists, with their pixels or paths."""
    batch, images, filled = [], [], 0.0
    for sample in samples:
        image = sample.source()
        batch.append(sample)
        images.append(image)
        filled += 1 / BATCH_FILES if isinstance(image, Path) else image.size / BATCH_VALUES
        if filled >= 1:
            yield batch, images
            batch, images, filled = [], [], 0.0
    if batch:
        yield batch, images


def open_all(images: Sequence[Pixels | Path]) -> list[Opened]:
    """Read, encode and fingerprint images; runs in this process or in another."""
    pictures = [open_image(image) for image in images]
    near = leakage.near_hashes([picture.image for picture in pictures])
    return [Opened(picture.encoded, picture.image.size, leakage.exact_hash(picture.encoded), bits)
            for picture, bits in zip(pictures, near, strict=True)]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _end_with_parent() -> None:
    """Leave Ctrl-C to the parent, and do not outlive it when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process().sentinel
    threading.Thread(target=lambda: connection.wait([parent]) and os._exit(1), daemon=True).start()
