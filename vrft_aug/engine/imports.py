"""Makes slow imports faster: Python looks for no garbage while they run."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector. What is made here is not searched later either.

    torch, vLLM and verl make many objects and hardly any garbage; to search them takes four tenths of the time of
    their imports (benchmarks/imports.py).
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
