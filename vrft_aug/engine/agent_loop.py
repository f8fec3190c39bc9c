"""verl's single-turn agent loop, which prepares an image once for the eight responses that it gets.

Named in conf/grpo.yaml as `rollout.agent.default_agent_loop`, verl's own extension point. For each response verl 0.9.1
runs the image processor when it builds the prompt (agent_loop.py:318) and again for the actor's inputs (:898): at
32 prompts of 8 samples, 512 runs a step where 32 do.
"""

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from PIL.Image import Image
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

REMEMBERED = 64 * 2**20  # bytes of tensors: 200 images of 112 x 112, more than a laptop's step has


class ImageOnceAgentLoop(SingleTurnAgentLoop):
    """As verl's. A loop is made for each response; all share their worker's processor, which remembers."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.processor is not None and not isinstance(self.processor.image_processor.preprocess, Remembering):
            self.processor.image_processor.preprocess = Remembering(self.processor.image_processor.preprocess)


class Remembering:
    """An image processor's `preprocess` that runs once for each image and set of options, whatever the threads."""

    def __init__(self, preprocess: Callable[..., Any]):
        self._preprocess = preprocess
        self._results: OrderedDict[object, Future] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> Any:
        """What `preprocess` returns; the mapping is the caller's own, its tensors are shared."""
        key = _contents(images), args, repr(sorted(kwargs.items()))
        with self._lock:
            result = self._results.get(key)
            if first := result is None:
                result = self._results[key] = Future()
        if first:
            try:
                prepared = self._preprocess(images, *args, **kwargs)
            except BaseException as error:
                with self._lock:
                    del self._results[key]
                result.set_exception(error)
            else:
                result.set_result(prepared)
                self._forget_beyond_limit(_bytes(prepared))
        return copy.copy(result.result())

    def _forget_beyond_limit(self, added: int) -> None:
        """Drop the oldest finished results until all fit in REMEMBERED bytes."""
        with self._lock:
            self._bytes += added
            for key in [key for key, result in self._results.items() if result.done()]:
                if self._bytes <= REMEMBERED:
                    return
                self._bytes -= _bytes(self._results.pop(key).result())


def _bytes(result: Any) -> int:
    return sum(value.nbytes for value in dict(result).values() if hasattr(value, "nbytes"))


def _contents(images: Any) -> object:
    """A key by what the images show; anything but PIL images is its own key, and so is never remembered."""
    images = images if isinstance(images, list | tuple) else [images]
    return tuple((i.size, i.mode, i.tobytes()) if isinstance(i, Image) else object() for i in images)
