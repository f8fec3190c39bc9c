"""Images that stand in two splits: exact copies byte for byte, near copies by a perceptual hash.

Near: difference hashes of 16 x 16 bits (imagehash) that differ in at most NEAR_BITS. RetinaMNIST at 28 px is the hard
case: among its 432,000 pairs of a training and a test image the closest two, which are no copies, differ in 12 bits; a
JPEG copy of quality 75 differs in 5, a copy 10 % brighter in 4 (medians). Larger images are much farther apart.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import csr_array

from vrft_aug.errors import InputError

SIDE = 16
NEAR_BITS = 10
ACTIONS = ("warn", "refuse", "drop")
EXAMPLES = 20  # pairs listed in the report
BANDS = 4  # of a CMYK image
WORDS = SIDE * SIDE // 16
ORDER = np.random.default_rng(0).permutation(SIDE * SIDE)  # of a hash's bits, so that each word samples all the image
BLOCK = 128  # images compared at once with all of another split


@dataclass
class Fingerprints:
    """Fingerprints of one split's images, some 200 bytes an image."""

    ids: list[str] = field(default_factory=list)
    exact: list[bytes] = field(default_factory=list)  # 16 bytes an image
    near: list[bytes] = field(default_factory=list)  # 32 bytes an image

    def add(self, source_id: str, exact: bytes, near: bytes) -> None:
        self.ids.append(source_id)
        self.exact.append(exact)
        self.near.append(near)

    def words(self) -> NDArray[np.uint16]:
        """The near hashes, (N, WORDS)."""
        return np.frombuffer(b"".join(self.near), np.uint16).reshape(-1, WORDS)


def exact_hash(encoded: bytes) -> bytes:
    """16 bytes that equal images share."""
    return hashlib.sha256(encoded).digest()[:16]


def near_hashes(images: Sequence[Image.Image]) -> list[bytes]:
    """32 bytes an image, in which near copies differ in few bits."""
    hashes = [difference_hashes(images[i : i + BANDS]) for i in range(0, len(images), BANDS)]
    bits = np.packbits(np.concatenate(hashes).reshape(-1, SIDE * SIDE)[:, ORDER], axis=1)
    return [row.tobytes() for row in bits]


def difference_hashes(images: Sequence[Image.Image]) -> NDArray[np.bool_]:
    """`imagehash.dhash` of each of up to BANDS images, (N, SIDE, SIDE).

    Pillow resizes the bands of an image alike and apart. So four images of one size, made the bands of one, need one
    call instead of four, which halves the time of small images; a test holds the two ways equal.
    """
    if len(images) < BANDS or len({image.size for image in images}) > 1:
        return np.array([imagehash.dhash(image, SIDE).hash for image in images])
    bands = Image.merge("CMYK", [image.convert("L") for image in images])
    pixels = np.asarray(bands.resize((SIDE + 1, SIDE), Image.Resampling.LANCZOS))
    return (pixels[:, 1:] > pixels[:, :-1]).transpose(2, 0, 1)


def near_pairs(a: Fingerprints, b: Fingerprints) -> Iterator[tuple[int, int, int]]:
    """(index in a, index in b, differing bits) of all pairs within NEAR_BITS, in order.

    Of any NEAR_BITS + 1 words such a pair has at least one in common (multi-index hashing, Norouzi et al. 2012). The
    product of two sparse tables of words finds the pairs that have one: far fewer than all.
    """
    left, right = a.words(), b.words()
    table = word_table(right).T.tocsr()
    for start in range(0, len(left), BLOCK):
        shared = word_table(left[start : start + BLOCK]) @ table
        shared.sort_indices()
        rows, columns = shared.nonzero()
        bits = np.bitwise_count(left[start + rows] ^ right[columns]).sum(axis=1)
        for k in np.flatnonzero(bits <= NEAR_BITS):
            yield start + int(rows[k]), int(columns[k]), int(bits[k])


def word_table(words: NDArray[np.uint16]) -> csr_array:
    """(N, (NEAR_BITS + 1) x 65536): in each image's row a one for the value of each of its first words."""
    number = NEAR_BITS + 1
    columns = words[:, :number] + (np.arange(number) << 16)
    starts = np.arange(0, columns.size + 1, number)
    return csr_array((np.ones(columns.size, np.uint8), columns.ravel(), starts), (len(words), number << 16))


def compare(prints: dict[str, Fingerprints], pair: tuple[str, str]) -> list[dict[str, Any]]:
    """The copies between two splits: what to drop is in the first."""
    a, b = (prints[split] for split in pair)
    if not a.ids or not b.ids:
        return []
    return [
        {
            "drop": i,
            "pair": [f"{pair[0]}: {a.ids[i]}", f"{pair[1]}: {b.ids[j]}"],
            "kind": "exact" if a.exact[i] == b.exact[j] else "near",
            "bits": bits,
        }
        for i, j, bits in near_pairs(a, b)
    ]


def check(prints: dict[str, Fingerprints], action: str) -> tuple[dict[str, Any], dict[str, set[int]]]:
    """Compare the splits with one another.

    action: `warn` reports, `refuse` raises InputError when there is a copy, `drop` names the rows to leave out: of
    train what is in val or test, of val what is in test; the test split is never touched.

    Returns the report for the manifest, and per split the positions to drop.
    """
    pairs: Sequence[tuple[str, str]] = (("train", "val"), ("train", "test"), ("val", "test"))
    found = {pair: compare(prints, pair) for pair in pairs}
    copies = [copy for pair in pairs for copy in found[pair]]
    drop = {split: {copy["drop"] for pair in pairs if pair[0] == split for copy in found[pair]} for split in prints}
    report = {
        "rule": f"exact: equal bytes; near: difference hashes within {NEAR_BITS} of {SIDE * SIDE} bits",
        "exact": sum(copy["kind"] == "exact" for copy in copies),
        "near": sum(copy["kind"] == "near" for copy in copies),
        "pairs": [{key: copy[key] for key in ("pair", "kind", "bits")} for copy in copies[:EXAMPLES]],
        "action": action,
        "dropped": {split: len(rows) for split, rows in drop.items()} if action == "drop" else None,
    }
    if copies and action == "refuse":
        first = copies[0]
        raise InputError(
            f"{len(copies)} copies of images across splits, the first: {' = '.join(first['pair'])} ({first['kind']}); "
            "remove one of each pair, or go on with leakage=warn or leakage=drop"
        )
    return report, drop if action == "drop" else {split: set() for split in prints}
