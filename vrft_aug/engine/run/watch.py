"""Runs a training in a thread while the main thread watches its processes and listens for signals.

verl waits forever for some of its processes, and treats the death of others as a failed response. With this watch, a
training ends some seconds after the death of any process that it needs, and the error names that process.
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

NEEDED = {  # title that Ray, vLLM or their workers give a process -> what we call it in a message
    "raylet": "Ray node manager",
    "gcs_server": "Ray control service",
    "ray::TaskRunner": "trainer",
    "ray::WorkerDict": "FSDP worker",
    "ray::PromptOnceServer": "rollout engine's server",
    "ray::vLLMHttpServer": "rollout engine's server",  # verl's own: share_prompts=false, or separate prefill
    "VLLM::EngineCore": "rollout engine",
    "VLLM::Worker": "rollout engine's worker",
    "ray::GlobalRequestLoadBalancer": "rollout engine's load balancer",
    "ray::PromptOnceWorker": "agent loop",
    "ray::AgentLoopWorkerTQ": "agent loop",  # verl's own: share_prompts=false
    "ray::RewardLoopWorker": "reward worker",
    "ray::TransferQueueController": "data queue's controller",
    "ray::SimpleStorageUnit": "data queue's storage",
}
QUEUE = ("ray::TransferQueueController", "ray::SimpleStorageUnit")  # verl ends them before it reports an error
STOP = "stop"  # this file, in the folder of the checkpoints, asks the trainer to stop after its current step
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_SECONDS = 1
LATE_SECONDS = 2  # Ray may report a death before the process is dead
GRACE_SECONDS = 15  # in which a training may end by itself after one of its processes died
LEAVE_SECONDS = 30  # for Ray to shut down


class Watch:
    """Watches the processes that descend from this one."""

    def __init__(self) -> None:
        self._family, self._segments = {psutil.Process()}, Segments()
        self._titles: dict[psutil.Process, str] = {}  # of the needed processes
        self._pidfds: dict[int, psutil.Process] = {}

    def first_death(self, over: int, meanwhile: Callable[[], None]) -> psutil.Process | None:
        """Wait until a needed process has died, and return it; None if the descriptor `over` becomes readable first."""
        while True:
            self._look()
            meanwhile()
            ready = select.select([*self._pidfds, over], [], [], POLL_SECONDS)[0]
            if ready:
                return self._pidfds.get(ready[0])

    def late_death(self, error: BaseException) -> psutil.Process | None:
        """The needed process whose death Ray reports as `error`, before the process is dead; None: no death."""
        ready = select.select([*self._pidfds], [], [], LATE_SECONDS)[0] if _reports_death(error) else []
        return self._pidfds[ready[0]] if ready else None

    def explains(self, process: psutil.Process, error: BaseException) -> bool:
        """Whether the death of `process` is why the training failed with `error`."""
        return self._titles[process] not in QUEUE or _reports_death(error)

    def describe(self, process: psutil.Process) -> str:
        return f"the {NEEDED[self._titles[process]]} (process {process.pid}) died"

    def end(self) -> None:
        """Kill all processes, and remove the shared memory that they hold."""
        end((self._family | relatives(self._family)) - {psutil.Process()}, self._segments)

    def _look(self) -> None:
        """Find new processes, and read the titles of processes that had none before."""
        self._family |= relatives(self._family)
        for process in self._family - self._titles.keys():
            with suppress(psutil.Error, ProcessLookupError):
                title = title_of(process)
                # A fork has its parent's title until it starts another program, as forks of vLLM and Ray do.
                if title and title != title_of(process.parent()):
                    self._pidfds[os.pidfd_open(process.pid)] = process
                    self._titles[process] = title


def title_of(process: psutil.Process | None) -> str | None:
    """The key of NEEDED with which the name of the process begins; None: the process is not needed."""
    name = process.name() if process else ""
    return next((title for title in NEEDED if name.startswith(title)), None)


def _reports_death(error: BaseException) -> bool:
    from ray.exceptions import RayActorError

    return isinstance(error, RayActorError)


def run_watched(work: Callable[[], None], leave: Callable[[], None], ask_to_stop: Callable[[], bool]) -> None:
    """Run `work` to its end, then `leave`, which shuts down everything that `work` started.

    The first SIGINT, SIGTERM or SIGHUP calls `ask_to_stop`, which asks `work` to end early and returns whether it can.
    If it can, KeyboardInterrupt is raised when `work` has ended or at a second signal; if not, at once.

    Raises RunFailed if a needed process died and `work` did not end well. Otherwise raises what `work` raised.
    """
    watch, may_leave = Watch(), threading.Event()
    errors: list[BaseException] = []
    ended, end_of_work = os.pipe()
    asked = False

    def task() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        os.close(end_of_work)
        may_leave.wait()  # until the watch has looked: it must not mistake the shutdown for deaths
        leave()

    def on_signal(*_: object) -> None:
        nonlocal asked
        if asked or not ask_to_stop():
            raise KeyboardInterrupt
        asked = True

    before = {number: signal.getsignal(number) for number in SIGNALS}

    def listen() -> None:
        """Install our handlers. Called repeatedly, because Ray replaces them when it starts."""
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
        may_leave.set()
        thread.join(LEAVE_SECONDS)
        for number, handler in before.items():
            signal.signal(number, handler)
