"""Finds images that are in two splits: exact copies by their bytes, near copies by a perceptual hash.

Two images are near copies if their difference hashes of 16 x 16 bits (imagehash) differ in at most NEAR_BITS bits.
RetinaMNIST at 28 px is the hard case: among its 432,000 pairs of a training and a test image that are no copies, the
closest pair differs in 12 bits. A JPEG copy of quality 75 differs in 5 bits and a copy that is 10 % brighter in 4
(medians). Larger images that are no copies differ much more.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import csr_array

from vrft_aug.errors import InputError

SIDE = 16
NEAR_BITS = 10
EXAMPLES = 20  # pairs that the report lists
BANDS = 4  # of a CMYK image
WORDS = SIDE * SIDE // 16
ORDER = np.random.default_rng(0).permutation(SIDE * SIDE)  # of a hash's bits, so that each word covers the whole image
BLOCK = 128  # images that are compared with a whole other split at once
PAIRS = 1 << 18  # pairs whose bits are counted at once


class Fingerprint(NamedTuple):
    """By what an image is compared. exact: 16 bytes of a SHA-256. near: 32 bytes. row: its row in the split, which may
    have several images."""

    source_id: str
    exact: bytes
    near: bytes
    row: int


def near_hashes(images: Sequence[Image.Image]) -> list[bytes]:
    """32 bytes per image; those of near copies differ in few bits."""
    hashes = [difference_hashes(images[i : i + BANDS]) for i in range(0, len(images), BANDS)]
    bits = np.packbits(np.concatenate(hashes).reshape(-1, SIDE * SIDE)[:, ORDER], axis=1)
    return [row.tobytes() for row in bits]


def difference_hashes(images: Sequence[Image.Image]) -> NDArray[np.bool_]:
    """`imagehash.dhash` of each of up to BANDS images, (N, SIDE, SIDE).

    Pillow resizes the bands of an image independently of each other. So four images of the same size become the bands
    of one image and need one call instead of four, which halves the time for small images. A test compares the results.
    """
    if len(images) < BANDS or len({image.size for image in images}) > 1:
        return np.array([imagehash.dhash(image, SIDE).hash for image in images])
    bands = Image.merge("CMYK", [image.convert("L") for image in images])
    pixels = np.asarray(bands.resize((SIDE + 1, SIDE), Image.Resampling.LANCZOS))
    return (pixels[:, 1:] > pixels[:, :-1]).transpose(2, 0, 1)


def near_pairs(a: Sequence[Any], b: Sequence[Any]) -> Iterator[tuple[int, int, int]]:
    """(index in a, index in b, number of different bits) of all pairs within NEAR_BITS, in order.

    a, b: fingerprints, or what else has a `near`.

    Such a pair has at least one equal word among any NEAR_BITS + 1 words (multi-index hashing, Norouzi et al. 2012).
    The product of two sparse tables of words finds the pairs with an equal word: far fewer than all pairs.
    """
    if not a or not b:
        return
    left, right = (np.frombuffer(b"".join(one.near for one in prints), np.uint16).reshape(-1, WORDS)
                   for prints in (a, b))  # (N, WORDS)
    table = word_table(right).T.tocsr()
    for start in range(0, len(left), BLOCK):
        shared = word_table(left[start : start + BLOCK]) @ table
        shared.sort_indices()
        rows, columns = shared.nonzero()
        for first in range(0, len(rows), PAIRS):  # images that look alike, as empty ones, make many pairs
            some, others = rows[first : first + PAIRS], columns[first : first + PAIRS]
            bits = np.bitwise_count(left[start + some] ^ right[others]).sum(axis=1)
            for k in np.flatnonzero(bits <= NEAR_BITS):
                yield start + int(some[k]), int(others[k]), int(bits[k])


def word_table(words: NDArray[np.uint16]) -> csr_array:
    """(N, (NEAR_BITS + 1) x 65536): the row of an image has a one for the value of each of its first words."""
    number = NEAR_BITS + 1
    columns = words[:, :number] + (np.arange(number) << 16)
    starts = np.arange(0, columns.size + 1, number)
    return csr_array((np.ones(columns.size, np.uint8), columns.ravel(), starts), (len(words), number << 16))


def check(prints: Mapping[str, Sequence[Any]], action: str) -> tuple[dict[str, Any], dict[str, set[int]]]:
    """Compare the splits, given as train, val and test, with one another.

    prints: fingerprints, or what else has their values. action: `warn` reports copies, `refuse` raises InputError if
    there is one, `drop` names the rows to leave out: training images that are also in val or test, and val images that
    are also in test. The test split never changes.

    Returns the report for the manifest, and the positions to drop in each split.
    """
    examples: list[dict[str, Any]] = []
    number = {"exact": 0, "near": 0}
    drop: dict[str, set[int]] = {split: set() for split in prints}
    for (first, a), (second, b) in combinations(prints.items(), 2):
        for i, j, bits in near_pairs(a, b):
            kind = "exact" if not bits and a[i].exact == b[j].exact else "near"  # equal bytes have equal hashes
            number[kind] += 1
            if len(examples) < EXAMPLES:
                pair = [f"{first}: {a[i].source_id}", f"{second}: {b[j].source_id}"]
                examples.append({"pair": pair, "kind": kind, "bits": bits})
            if action == "drop":
                drop[first].add(a[i].row)
    if examples and action == "refuse":
        example = f"{' = '.join(examples[0]['pair'])} ({examples[0]['kind']})"
        raise InputError(f"{sum(number.values())} copies of images across splits, the first: {example}; remove one "
                         "image of each pair, or continue with leakage=warn or leakage=drop")
    report = {
        "rule": f"exact: equal bytes; near: difference hashes within {NEAR_BITS} of {SIDE * SIDE} bits",
        **number,
        "pairs": examples,
        "action": action,
        "dropped": {split: len(rows) for split, rows in drop.items()} if action == "drop" else None,
    }
    return report, drop
