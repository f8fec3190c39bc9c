"""Checks the server that a run starts first of all: it imports in two parts, and it ends with the run."""

import os
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import psutil
import pytest
from test_fork_server import run, wait_until

from vrft_aug.engine.cpu import fork_python, spare
from vrft_aug.engine.verl import ray_cluster

SERVER = """
from vrft_aug.engine.cpu import fork_server as f
f.PRELOAD, f.BEFORE_RAY = ("told",), ("fractions",)
f.main()
"""
RUN = f"""
import os, subprocess, sys
folder = sys.argv[1]
ready, report = os.pipe()
server = subprocess.Popen([sys.executable, "-c", {SERVER!r}, folder, str(report), "run"], pass_fds=[report])
os.close(report)
os.read(ready, 1)
print(server.pid, flush=True)
sys.stdin.read()
"""
TOLD = "import os\nword = os.environ.get('TOLD')\n"  # a module that reads its environment once, as Ray does


@pytest.fixture
def started(tmp_path, monkeypatch):
    """A run that has started its server, and the command that starts workers."""
    (tmp_path / "told.py").write_text(TOLD)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv(fork_python.FOLDER, str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", RUN, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)  # fmt: skip
    server = psutil.Process(int(process.stdout.readline()))
    yield process, server, fork_python.write_command(str(tmp_path))
    process.kill()
    process.wait()
    wait_until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)


def test_what_reads_a_workers_environment_is_imported_when_the_first_worker_asks(started):
    *_, python = started
    code = "import sys, told; print('fractions' in sys.modules, told.word)"
    first = run(python, "-c", code, env=os.environ | {"TOLD": "first"})
    assert first.stdout == "True first\n", first.stderr
    assert run(python, "-c", code, env=os.environ | {"TOLD": "second"}).stdout == "True first\n"


@pytest.mark.parametrize("killed", ["run", "server"])
def test_with_run_or_server_the_workers_end_and_none_seems_to_have_succeeded(started, killed):
    process, server, python = started
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    client = subprocess.Popen([python, "-c", code], stdout=subprocess.PIPE, text=True)
    worker = psutil.Process(int(client.stdout.readline()))
    (process if killed == "run" else server).kill()
    assert client.wait(30) == fork_python.SERVER_GONE
    wait_until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize(
    ("fork", "address", "has_spare", "expected"),
    [(True, "local", False, 1), (False, "local", False, 0), (True, "auto", False, 0), (True, "local", True, 0)],
)
def test_a_server_is_started_where_the_workers_are_forks_and_no_spare_waits(
    monkeypatch, fork, address, has_spare, expected
):
    calls = []
    monkeypatch.setattr(fork_python, "start", lambda *call: calls.append(call))
    monkeypatch.setattr(spare, "_spare", object() if has_spare else None)
    ray_cluster.import_early(SimpleNamespace(ray=SimpleNamespace(fork=fork, address=address)))
    assert calls == [(tempfile.gettempdir(), fork_python.RUN)] * expected
