"""How a training is watched: deaths, signals, errors. The processes are toys with the titles of real ones."""

import ctypes
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from vrft_aug.engine.run import watch
from vrft_aug.engine.run.reaper import lives
from vrft_aug.errors import RunFailed

TITLED = (
    "import setproctitle, sys, time; setproctitle.setproctitle(sys.argv[1]); print('', flush=True); time.sleep(600)"
)


@pytest.fixture
def start():
    pytest.importorskip("setproctitle", reason="the training stack is not installed (make setup)")
    started = []

    def start(title: str, program: str = TITLED) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-c", program, title], stdout=subprocess.PIPE)
        process.stdout.readline()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(watch, "GRACE_SECONDS", 1)
    monkeypatch.setattr(watch, "LEAVE_SECONDS", 5)


@pytest.fixture(autouse=True)
def heard():
    """Makes this process listen to signals: a shell starts its background jobs with SIGINT ignored."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in watch.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def hang(*_) -> None:
    time.sleep(60)


def after(seconds: float, action, *arguments) -> None:
    threading.Timer(seconds, action, arguments).start()


def refuse() -> bool:
    return False


@pytest.mark.parametrize("title", ["raylet", "VLLM::EngineCore", "ray::SimpleStorageUnit"])
def test_a_hung_training_ends_with_the_name_of_what_died(start, monkeypatch, title):
    monkeypatch.setattr(watch, "LEAVE_SECONDS", 0.1)
    left = []

    def work():
        first, second = start(title), start("ray::WorkerDict")
        left.append(second)
        after(2, first.kill)
        first.wait()
        hang()

    began = time.monotonic()
    with pytest.raises(RunFailed, match=rf"the {watch.NEEDED[title]} \(process \d+\) died"):
        watch.run_watched(work, lambda: None, refuse)
    assert time.monotonic() - began < 20
    assert not lives(psutil.Process(left[0].pid)), "the other processes must be ended too"


def test_a_death_does_not_matter_if_the_training_ends_well(start):
    order = []

    def work():
        queue = start("ray::SimpleStorageUnit")
        time.sleep(2)
        queue.kill()
        queue.wait()
        order.append("the queue died")
        time.sleep(0.3)
        order.append("ended well")

    watch.run_watched(work, lambda: order.append("left"), refuse)
    assert order == ["the queue died", "ended well", "left"]


def test_the_end_of_a_fork_with_its_parents_title_is_no_death(start):
    """vLLM runs `lscpu` to count the cores. Until it starts, its process has the title of the rollout engine."""
    forking = TITLED.replace("print(", "import os; os.fork() or (time.sleep(1), os._exit(0)); print(")
    order = []

    def work():
        engine = start("VLLM::EngineCore", forking)
        time.sleep(4)
        order.append("worked" if engine.poll() is None else "was killed")

    watch.run_watched(work, lambda: order.append("left"), refuse)
    assert order == ["worked", "left"]


def test_the_end_of_the_queue_hides_no_error(start):
    def work():
        queue = start("ray::SimpleStorageUnit")
        time.sleep(2)
        queue.kill()
        time.sleep(0.3)
        raise ValueError("the real reason")

    with pytest.raises(ValueError, match="the real reason"):
        watch.run_watched(work, lambda: None, refuse)


def test_the_report_of_a_death_may_come_before_the_death(start):
    """Ray saw that the connection of a trainer closed, but its process is not dead yet."""
    ray = pytest.importorskip("ray", reason="the training stack is not installed (make setup)")
    process = start("ray::TaskRunner")

    def work():
        time.sleep(0.5)  # the watch has seen the process
        threading.Timer(0.5, process.kill).start()
        raise ray.exceptions.ActorDiedError()

    with pytest.raises(RunFailed, match=f"the trainer .process {process.pid}. died"):
        watch.run_watched(work, lambda: None, refuse)


def test_what_is_shut_down_has_not_died(start):
    processes, order = [], []

    def work():
        processes.append(start("ray::WorkerDict"))
        time.sleep(0.5)
        raise ValueError("the real reason")

    def leave():
        order.append("leave")
        processes[0].kill()

    with pytest.raises(ValueError, match="the real reason"):
        watch.run_watched(work, leave, refuse)
    assert order == ["leave"]


@pytest.mark.parametrize("number", watch.SIGNALS)
def test_the_first_signal_lets_the_step_end(number):
    stop, ended = threading.Event(), []

    def work():
        stop.wait(10)
        ended.append("in order")

    def ask_to_stop() -> bool:
        stop.set()
        return True

    handler = signal.getsignal(number)
    after(0.5, signal.raise_signal, number)
    with pytest.raises(KeyboardInterrupt):
        watch.run_watched(work, lambda: None, ask_to_stop)
    assert ended == ["in order"] and signal.getsignal(number) is handler


def test_a_library_that_takes_the_signals_does_not_keep_them():
    """Ray's core replaces the signal handlers when it starts, and Python does not know."""
    stop, ended = threading.Event(), []

    def work():
        time.sleep(0.5)
        ctypes.CDLL(None).signal(signal.SIGTERM, ctypes.c_void_p(signal.SIG_IGN))
        after(1, signal.raise_signal, signal.SIGTERM)
        ended.append(stop.wait(10))

    with pytest.raises(KeyboardInterrupt):
        watch.run_watched(work, lambda: None, lambda: stop.set() is None)
    assert ended == [True]


@pytest.mark.parametrize("can_stop", [True, False])
def test_a_second_signal_or_one_before_the_first_step_stops_at_once(start, monkeypatch, can_stop):
    monkeypatch.setattr(watch, "LEAVE_SECONDS", 0.1)
    worker = []

    def work():
        worker.append(start("ray::WorkerDict"))
        hang()

    for seconds in (1, 1.5)[: 1 + can_stop]:
        after(seconds, signal.raise_signal, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        watch.run_watched(work, lambda: None, lambda: can_stop)
    assert not lives(psutil.Process(worker[0].pid))
