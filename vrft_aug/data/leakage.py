"""Images that stand in two splits: exact copies byte for byte, near copies by a perceptual hash.

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

from vrft_aug.data.sample import Picture
from vrft_aug.errors import InputError

SIDE = 16
NEAR_BITS = 10
ACTIONS = ("warn", "refuse", "drop")
EXAMPLES = 20  # pairs listed in the report
WORDS = SIDE * SIDE // 64
BLOCK = 512  # images compared at once with as many: two megabytes


@dataclass
class Fingerprints:
    """Fingerprints of one split's images, 48 bytes an image."""

    ids: list[str] = field(default_factory=list)
    exact: list[bytes] = field(default_factory=list)  # 16 bytes each
    near: list[bytes] = field(default_factory=list)  # 32 bytes each

    def add(self, source_id: str, picture: Picture) -> None:
        bits = imagehash.dhash(picture.image, SIDE).hash
        self.ids.append(source_id)
        self.exact.append(hashlib.blake2b(picture.encoded, digest_size=16).digest())
        self.near.append(np.packbits(bits.reshape(-1, WORDS).T).tobytes())  # each word samples the whole image

    def words(self) -> NDArray[np.uint64]:
        """The near hashes, (N, WORDS)."""
        return np.frombuffer(b"".join(self.near), np.uint64).reshape(-1, WORDS)


def near_pairs(a: Fingerprints, b: Fingerprints) -> Iterator[tuple[int, int, int]]:
    """(index in a, index in b, differing bits) of all pairs within NEAR_BITS; the first word rules most pairs out."""
    left, right = a.words(), b.words()
    for i0, j0 in itertools.product(range(0, len(left), BLOCK), range(0, len(right), BLOCK)):
        x, y = left[i0 : i0 + BLOCK], right[j0 : j0 + BLOCK]
        rows, columns = np.nonzero(np.bitwise_count(x[:, None, 0] ^ y[None, :, 0]) <= NEAR_BITS)
        bits = np.bitwise_count(x[rows] ^ y[columns]).sum(axis=1)
        for k in np.flatnonzero(bits <= NEAR_BITS):
            yield i0 + int(rows[k]), j0 + int(columns[k]), int(bits[k])


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
