"""Imports torch, vLLM and verl once, and forks for every process of a run that needs them (hardware.ray.fork).

Ray starts its workers with fork_python.py (runtime_env.py_executable), and the workers start vLLM's processes with it
(multiprocessing.set_executable). A fork shares all memory pages that nobody writes to, such as modules and torch's
registries. Forking is safe because the server has no Python threads and computes nothing: it imports, then listens.

A training starts its server first of all, so that the server imports beside it. Ray and verl are the exception: Ray
2.60 reads what its node manager tells a worker (RAY_JOB_ID, RAY_RAYLET_PID) when it is imported, so the server imports
them when the first worker asks.

A table of experiments (experiments/runner.py) has such a server for its recipes, and each recipe a spare fork that
serves the recipe's run (spare.py). So a table imports once, except Ray and verl.
"""

import importlib
import json
import multiprocessing
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import setproctitle

from vrft_aug.engine.cpu import fork_python, spare
from vrft_aug.engine.cpu.forked import become, execute
from vrft_aug.engine.imports import uncollected
from vrft_aug.silence import ERRORS, OUTPUT, silent

PRELOAD = (
    *("ray", "torch", "transformers", "verl.trainer.main_ppo", "verl.workers.engine_workers"),
    *("verl.experimental.agent_loop", "verl.experimental.reward_loop"),
    "vrft_aug.engine.verl.llm_server",
    *("vllm.v1.engine.core", "vllm.v1.worker.cpu_worker", "vllm.v1.executor.multiproc_executor"),
    *("vrft_aug.engine.verl.agent_loop", "vrft_aug.engine.verl.replay_buffer", "vrft_aug.engine.cpu.fsdp"),
    "vrft_aug.rewards.adapters.verl",
)
BEFORE_RAY = (  # what recipes and workers need of other packages, and what does not import Ray
    *("torch", "transformers", "vllm.v1.engine", "vllm.model_executor.model_loader", "vllm.v1.worker.cpu_model_runner"),
    *("hydra", "pandas", "pyarrow.parquet", "datasets", "scipy.ndimage", "sklearn.metrics", "sacrebleu", "peft"),
    "transformers.tokenization_mistral_common",  # with the first tokenizer, whatever its kind
)
IDLE_SECONDS = 10  # a server ends after this long without a child, unless its folder ends earlier


class ForkServer:
    """Forks once per client; sends the client the fork's process id and later its exit status (8 bytes each).

    idle_seconds: it ends after this long without a child; None: only when its folder is removed, or its parent ends.
    at_first: called before the first fork, with the first client's environment.
    """

    def __init__(self, folder: Path, idle_seconds: int | None = IDLE_SECONDS,
                 at_first: Callable[[dict[str, str]], None] | None = None) -> None:  # fmt: skip
        self._idle_seconds, self._at_first = idle_seconds, at_first
        self._path = folder / "socket"
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        self._events = selectors.DefaultSelector()
        self._events.register(self._listener, selectors.EVENT_READ)
        self._clients: dict[int, tuple[int, socket.socket]] = {}  # a fork's pidfd -> its process id and its client

    def run(self) -> dict:
        """Serve. Returns only in a fork, with the client's request; the server itself exits when it is idle."""
        idle = 0
        while True:
            ready = self._events.select(None if self._clients else 1)
            idle = 0 if ready else idle + 1
            late = self._idle_seconds is not None and idle >= self._idle_seconds
            if late or (idle and not self._path.exists()):  # a run removes its folder when it ends
                self._path.unlink(missing_ok=True)
                sys.exit()
            for key, _ in ready:
                if key.data:
                    key.data()
                elif request := self._fork(self._listener.accept()[0]):
                    return request

    def _fork(self, client: socket.socket) -> dict | None:
        request, descriptors = _read(client)
        if request is None:
            return None
        if self._at_first:
            self._at_first(request["env"])
            self._at_first = None
        if (pid := os.fork()) == 0:
            self._events.close()
            for used in (self._listener, client, *(other for _, other in self._clients.values())):
                used.close()
            for pidfd in self._clients:
                os.close(pidfd)
            return request | {"received": descriptors}
        for descriptor in descriptors:
            os.close(descriptor)
        pidfd = os.pidfd_open(pid)
        self._clients[pidfd] = pid, client
        self._events.register(pidfd, selectors.EVENT_READ, partial(self._report_end, pidfd))
        self._events.register(client, selectors.EVENT_READ, partial(self._kill, client, pidfd))
        with suppress(OSError):  # the client is gone, as Ray kills one that is slow to register; its end is an event
            client.sendall(pid.to_bytes(8, "big"))
        return None

    def _report_end(self, pidfd: int) -> None:
        pid, client = self._clients.pop(pidfd)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._events.unregister(pidfd)
        os.close(pidfd)
        if client in self._events.get_map():
            self._events.unregister(client)
            with suppress(OSError):
                client.sendall((status if status >= 0 else 128 - status).to_bytes(8, "big"))
        client.close()

    def _kill(self, client: socket.socket, pidfd: int) -> None:
        """End the fork of a client that is gone. A client sends nothing, so that any event means: it was killed."""
        self._events.unregister(client)
        os.kill(self._clients[pidfd][0], signal.SIGKILL)


def _read(client: socket.socket) -> tuple[dict | None, list[int]]:
    """A client's request and file descriptors. A client that was killed before it had asked is left: None and none."""
    header, descriptors, *_ = socket.recv_fds(client, 8, 253)
    with client.makefile("rb") as stream:
        body = stream.read(int.from_bytes(header, "big"))
    if header and len(body) == int.from_bytes(header, "big"):
        return json.loads(body), descriptors
    for descriptor in descriptors:
        os.close(descriptor)
    client.close()
    return None, []


def load(modules: Sequence[str]) -> None:
    with uncollected():  # in a fork, too: a search for garbage writes to every object, which would copy every page
        for module in modules:
            importlib.import_module(module)
    if "ray" in sys.modules:  # two copies of setproctitle would write to the same memory
        setproctitle.setproctitle = sys.modules["ray"]._raylet.setproctitle


def load_for_workers(environment: dict[str, str]) -> None:
    os.environ.update(environment)
    with silent(OUTPUT, ERRORS):
        load(PRELOAD)


OF_RUN: dict[str, Any] = {"idle_seconds": None, "at_first": load_for_workers}  # of a server that a run has started


def main() -> None:
    """Serve the folder that the command line names; in a fork, become what the client asked for."""
    folder, report, *kind = sys.argv[1:]
    if of_run := kind == [fork_python.RUN]:
        spare.die_with_parent()
    server = ForkServer(Path(folder), **(OF_RUN if of_run else {}))
    os.close(int(report))  # tells that clients can connect; they get an answer after the imports
    multiprocessing.set_executable(fork_python.command(folder))
    with silent(OUTPUT, ERRORS) if kind else nullcontext():  # of a table this would be on the terminal
        load(BEFORE_RAY if kind else PRELOAD)
    request = server.run()
    become(request)
    if kind == [fork_python.RECIPES] and (run := spare.keep()):  # the spare, for the recipe's run
        multiprocessing.set_executable(fork_python.command(str(run)))
        request = ForkServer(run, **OF_RUN).run()
        become(request)
    execute(request["argv"])


if __name__ == "__main__":
    main()
