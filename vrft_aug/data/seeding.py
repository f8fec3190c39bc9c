"""Makes random numbers that are the same in every run with the same seed."""

import zlib

import numpy as np


def generator(seed: int, purpose: str, *more: int) -> np.random.Generator:
    """Random numbers that depend on the seed and on what they are for, and on nothing drawn before.

    more: numbers that distinguish several uses with the same purpose.
    """
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *more])
