"""Runs a training in a thread while the main thread watches its processes and listens for signals.

verl waits for ever for some of its processes and takes others' death for a failed answer. Here the death of any process
that a training needs ends it, in seconds, with that process's name.
"""

import signal
import threading
from collections.abc import Callable

import psutil

from vrft_aug.engine.reaper import end, lives, relatives
from vrft_aug.errors import RunFailed

NEEDED = {  # title that Ray, vLLM or their workers give a process -> what it is to a person
    "raylet": "Ray's node manager",
    "gcs_server": "Ray's control service",
    "ray::TaskRunner": "trainer",
    "ray::WorkerDict": "FSDP worker",
    "ray::vLLMHttpServer": "rollout engine's server",
    "VLLM::EngineCore": "rollout engine",
    "VLLM::Worker": "rollout engine's worker",
    "ray::GlobalRequestLoadBalancer": "rollout engine's load balancer",
    "ray::AgentLoopWorker": "agent loop",
    "ray::RewardLoopWorker": "reward worker",
}
QUEUE = {  # these end before the trainer does, so that their end alone says nothing
    "ray::TransferQueueController": "data queue's controller",
    "ray::SimpleStorageUnit": "data queue's storage",
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_SECONDS = 1
GRACE_SECONDS = 15  # for a training to end by itself when a process of it has died
LEAVE_SECONDS = 30  # for Ray to shut down


class Watch:
    """The processes that descend from this one, save those that it has already."""

    def __init__(self):
        self._spared = set(psutil.Process().children(recursive=True))  # the reaper
        self._family = {psutil.Process()}
        self._roles: dict[psutil.Process, str] = {}  # process -> its title in NEEDED or QUEUE

    def dead(self) -> psutil.Process | None:
        """A process that was needed and has died, one that is not of the queue where there is one; None: all live."""
        self._family |= relatives(self._family) - self._spared
        for process in self._family - self._roles.keys():
            name = _name(process)
            if title := next((title for title in (*NEEDED, *QUEUE) if name.startswith(title)), None):
                self._roles[process] = title
        return min((process for process in self._roles if not lives(process)), key=self.of_queue, default=None)

    def of_queue(self, process: psutil.Process) -> bool:
        return self._roles[process] in QUEUE

    def describe(self, process: psutil.Process) -> str:
        return f"the {(NEEDED | QUEUE)[self._roles[process]]} (process {process.pid}) died"

    def end(self) -> None:
        """Kill them all."""
        end((self._family | relatives(self._family)) - self._spared - {psutil.Process()})


def run_watched(work: Callable[[], None], leave: Callable[[], None], ask_to_stop: Callable[[], bool]) -> None:
    """Run `work` to its end, then `leave`, which shuts down what `work` has started.

    At the first SIGINT, SIGTERM or SIGHUP `ask_to_stop` is called, which may let `work` come to a good end, and returns
    whether it can. Then, or at the second signal, KeyboardInterrupt leaves this function.

    Raises RunFailed where a needed process died and `work` did not end well all the same; else what `work` raised.
    """
    watch, errors, done, told = Watch(), [], threading.Event(), threading.Event()
    asked = False

    def task() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        done.set()
        told.wait()  # what has died must be told from what is shut down
        leave()

    def on_signal(*_) -> None:
        nonlocal asked
        signal.alarm(0)  # Ray's own handler of SIGTERM, which calls this one, has set it to abort us in three seconds
        if asked or not ask_to_stop():
            raise KeyboardInterrupt
        asked = True

    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # as under nohup
    before = {number: signal.signal(number, on_signal) for number in heard}
    thread = threading.Thread(target=task, daemon=True)
    try:
        thread.start()
        dead = None
        while not (dead or done.wait(POLL_SECONDS)):
            dead = watch.dead()
        if dead:
            done.wait(GRACE_SECONDS)
        elif errors:
            dead = watch.dead()
        if dead and (not done.is_set() or (errors and not watch.of_queue(dead))):
            raise RunFailed(watch.describe(dead)) from (errors[0] if errors else None)
        if errors:
            raise errors[0]
        if asked:
            raise KeyboardInterrupt
    finally:
        if not done.is_set():
            watch.end()
        told.set()
        thread.join(LEAVE_SECONDS)
        for number, handler in before.items():
            signal.signal(number, handler)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""
