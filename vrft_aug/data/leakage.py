"""Images that stand in two splits: exact copies by their pixels, near copies by a perceptual hash.

Near: difference hashes of 16 x 16 bits (imagehash) that differ in at most NEAR_BITS. RetinaMNIST at 28 px is the hard
case: among its 432,000 pairs of a training and a test image the closest two, which are no copies, differ in 12 bits; a
JPEG copy of quality 75 differs in 5, a copy 10 % brighter in 4 (medians). Larger images are much farther apart.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vrft_aug.data.sample import Pixels
from vrft_aug.errors import InputError

SIDE = 16
NEAR_BITS = 10
ACTIONS = ("warn", "refuse", "drop")
EXAMPLES = 20  # pairs listed in the report
BLOCK = 2048  # rows compared at once


@dataclass
class Fingerprints:
    """Fingerprints of one split's images, 48 bytes an image."""

    ids: list[str] = field(default_factory=list)
    exact: list[bytes] = field(default_factory=list)  # 16 bytes each
    near: list[bytes] = field(default_factory=list)  # 32 bytes each

    def add(self, source_id: str, pixels: Pixels) -> None:
        self.ids.append(source_id)
        self.exact.append(hashlib.blake2b(pixels.tobytes(), digest_size=16, key=str(pixels.shape).encode()).digest())
        self.near.append(np.packbits(imagehash.dhash(Image.fromarray(pixels), SIDE).hash).tobytes())

    def signs(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The near hashes in blocks: (first index, (n, 256) of -1 and 1); their products count equal bits."""
        for start in range(0, len(self.near), BLOCK):
            bits = np.unpackbits(np.frombuffer(b"".join(self.near[start : start + BLOCK]), np.uint8))
            yield start, bits.reshape(-1, SIDE * SIDE).astype(np.float32) * 2 - 1


def near_pairs(a: Fingerprints, b: Fingerprints) -> Iterator[tuple[int, int, int]]:
    """(index in a, index in b, differing bits) of all pairs within NEAR_BITS."""
    bits = SIDE * SIDE
    for (i0, left), (j0, right) in itertools.product(a.signs(), b.signs()):
        agreement = left @ right.T
        for i, j in np.argwhere(agreement >= bits - 2 * NEAR_BITS):
            yield i0 + int(i), j0 + int(j), int(bits - agreement[i, j]) // 2


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
        "rule": f"exact: equal pixels; near: 16 x 16 difference hashes within {NEAR_BITS} of {SIDE * SIDE} bits",
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
