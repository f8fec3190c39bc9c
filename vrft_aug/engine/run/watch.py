"""Runs a training in a thread while the main thread watches its processes and listens for signals.

verl waits for ever for some of its processes, and takes others' death for a failed answer. Here the death of any that
a training needs ends it, in seconds, with that process's name.
"""

import os
import select
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

import psutil

from vrft_aug.engine.run.reaper import Segments, end, relatives
from vrft_aug.errors import RunFailed

NEEDED = {  # title that Ray, vLLM or their workers give a process -> what it is to a person
    "raylet": "Ray node manager",
    "gcs_server": "Ray control service",
    "ray::TaskRunner": "trainer",
    "ray::WorkerDict": "FSDP worker",
    "ray::PromptOnceServer": "rollout engine's server",
    "ray::vLLMHttpServer": "rollout engine's server",  # verl's own, where prefill and decoding are apart
    "VLLM::EngineCore": "rollout engine",
    "VLLM::Worker": "rollout engine's worker",
    "ray::GlobalRequestLoadBalancer": "rollout engine's load balancer",
    "ray::PromptOnceWorker": "agent loop",
    "ray::RewardLoopWorker": "reward worker",
    "ray::TransferQueueController": "data queue's controller",
    "ray::SimpleStorageUnit": "data queue's storage",
}
QUEUE = (
    "ray::TransferQueueController",
    "ray::SimpleStorageUnit",
)  # verl ends these before it says why a training failed
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_SECONDS = 1
LATE_SECONDS = 2  # from the news of a death to the death itself
GRACE_SECONDS = 15  # for a training to end by itself when a process of it has died
LEAVE_SECONDS = 30  # for Ray to shut down


class Watch:
    """The processes that descend from this one."""

    def __init__(self):
        self._family, self._segments = {psutil.Process()}, Segments()
        self._titles: dict[psutil.Process, str] = {}  # of those that are needed
        self._pidfds: dict[int, psutil.Process] = {}

    def first_death(self, over: int, meanwhile: Callable[[], None]) -> psutil.Process | None:
        """Wait until a needed process has died, and return it; or until the descriptor `over` is readable: None."""
        while True:
            self._look()
            meanwhile()
            ready = select.select([*self._pidfds, over], [], [], POLL_SECONDS)[0]
            if ready:
                return self._pidfds.get(ready[0])

    def late_death(self, error: BaseException) -> psutil.Process | None:
        """A needed process whose end another one has told as `error`: its connections close before it is dead."""
        from ray.exceptions import RayActorError

        if not isinstance(error, RayActorError):
            return None
        ready = select.select([*self._pidfds], [], [], LATE_SECONDS)[0]
        return self._pidfds[ready[0]] if ready else None

    def explains(self, process: psutil.Process, error: BaseException) -> bool:
        """Whether the death of `process` is why the training failed with `error`."""
        from ray.exceptions import RayActorError

        return self._titles[process] not in QUEUE or isinstance(error, RayActorError)

    def describe(self, process: psutil.Process) -> str:
        return f"the {NEEDED[self._titles[process]]} (process {process.pid}) died"

    def end(self) -> None:
        """Kill them all, and remove the shared memory that they hold."""
        end((self._family | relatives(self._family)) - {psutil.Process()}, self._segments)

    def _look(self) -> None:
        """Take in new processes, and those whose title says by now what they are."""
        self._family |= relatives(self._family)
        for process in self._family - self._titles.keys():
            with suppress(psutil.Error, ProcessLookupError):
                title = title_of(process)
                # A fork carries its parent's title until it becomes a program of its own, as vLLM's and Ray's do.
                if title and title != title_of(process.parent()):
                    self._pidfds[os.pidfd_open(process.pid)] = process
                    self._titles[process] = title


def title_of(process: psutil.Process | None) -> str | None:
    """Which of NEEDED a process says it is."""
    name = process.name() if process else ""
    return next((title for title in NEEDED if name.startswith(title)), None)


def run_watched(work: Callable[[], None], leave: Callable[[], None], ask_to_stop: Callable[[], bool]) -> None:
    """Run `work` to its end, then `leave`, which shuts down what `work` has started.

    At the first SIGINT, SIGTERM or SIGHUP `ask_to_stop` is called, which may let `work` come to a good end, and returns
    whether it can. Then, or at the second signal, KeyboardInterrupt leaves this function.

    Raises RunFailed where a needed process died and `work` did not end well all the same; else what `work` raised.
    """
    watch, errors, told = Watch(), [], threading.Event()
    ended, end_of_work = os.pipe()
    asked = False

    def task() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        os.close(end_of_work)
        told.wait()  # what dies by itself must be told from what is shut down
        leave()

    def on_signal(*_) -> None:
        nonlocal asked
        if asked or not ask_to_stop():
            raise KeyboardInterrupt
        asked = True

    before = {number: signal.getsignal(number) for number in SIGNALS}

    def listen() -> None:
        """Again and again: Ray, once it has started, aborts the process at SIGTERM."""
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, on_signal)

    thread = threading.Thread(target=task, daemon=True)
    is_done = False
    try:
        thread.start()
        dead = watch.first_death(ended, listen)
        is_done = bool(select.select([ended], [], [], GRACE_SECONDS)[0])
        if errors and not dead:
            dead = watch.late_death(errors[0])
        if dead and (not is_done or (errors and watch.explains(dead, errors[0]))):
            raise RunFailed(watch.describe(dead)) from (errors[0] if errors else None)
        if errors:
            raise errors[0]
        if asked:
            raise KeyboardInterrupt
    finally:
        if not is_done:
            watch.end()
        told.set()
        thread.join(LEAVE_SECONDS)
        for number, handler in before.items():
            signal.signal(number, handler)
