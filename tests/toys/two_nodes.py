"""A Ray cluster of two nodes on this machine, as two `ray start` programs make it; used by tests/launch."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent
STORE = f"--object-store-memory={300 * 1024**2}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class TwoNodes:
    """Context of the cluster: eight logical CPUs a node and, on the second, the one logical GPU of hardware=cpu.

    head_gpus: logical GPUs of the first node. env: what a program needs to talk to it: the token, and the dashboard's
    address.
    """

    def __init__(self, head_gpus: int = 0) -> None:
        self._head_gpus = head_gpus

    def __enter__(self) -> "TwoNodes":
        from ray.util import get_node_ip_address

        self.folder = Path(tempfile.mkdtemp(prefix="vrft-two-"))  # short: it holds Unix sockets
        self._token = self.folder / "token"
        self._token.write_text(secrets.token_hex(32))
        self.address = f"{get_node_ip_address()}:{free_port()}"
        dashboard = free_port()
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
            "PATH": f"{BIN}:{os.environ['PATH']}",  # a job's `python` is the nodes'
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self._token),
            "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_prestart_worker_first_driver": "0",
        }
        head = f"--head --port={self.address.split(':')[1]} --dashboard-host=127.0.0.1 --dashboard-port={dashboard}"
        head += f" --ray-client-server-port={free_port()} --temp-dir={self.folder} --num-gpus={self._head_gpus}"
        self._nodes = []
        try:
            self._start(head, dashboard)
            self._start(f"--address={self.address} --num-gpus=1")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self, options: str, dashboard: int | None = None) -> None:
        """Start a node, and wait until it has joined and its agent, and the dashboard, answer."""
        log, agent = self.folder / f"node-{len(self._nodes)}.txt", free_port()
        command = [BIN / "ray", "start", "--block", "--num-cpus=8", STORE, f"--dashboard-agent-listen-port={agent}"]
        with log.open("w") as said:
            node = subprocess.Popen([*command, *options.split()], env=self.env, stdout=said, stderr=said)
        self._nodes.append(node)
        deadline = time.monotonic() + 120
        while not (all(answers(port) for port in (agent, dashboard) if port) and "runtime started" in log.read_text()):
            assert node.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)

    def processes(self) -> list[psutil.Process]:
        """Every process that the cluster has started and that is alive, on both nodes."""
        nodes = [psutil.Process(node.pid) for node in self._nodes if node.poll() is None]
        return [child for node in nodes for child in node.children(recursive=True)]

    def on_second(self) -> list[psutil.Process]:
        """Every process on the second node, which lives."""
        assert self._nodes[1].poll() is None, (self.folder / "node-1.txt").read_text()
        return psutil.Process(self._nodes[1].pid).children(recursive=True)

    def lose_second(self) -> None:
        """Kill the second node with all that runs there, as if its machine had lost its power."""
        for process in [psutil.Process(self._nodes[1].pid), *self.on_second()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._nodes[1].wait(60)

    def __exit__(self, *_) -> None:
        left = self.processes()
        for node in reversed(self._nodes):
            node.terminate()
            node.wait(300)
        _, left = psutil.wait_procs(left, timeout=10)
        for process in left:
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not left, f"Ray left {left}"


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
