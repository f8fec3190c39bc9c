"""Checks that a forked interpreter behaves as Python, ends when its client is killed, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from vrft_aug.engine.cpu import fork_python

SERVER = """
import tempfile
from vrft_aug.engine.cpu import fork_server as f
f.PRELOAD = ("decimal",)
tempfile.gettempdir()  # as an import may do, so that the module remembers it
f.main()
"""


@pytest.fixture
def python(tmp_path, monkeypatch):
    """The command that replaces Python, with a server that has imported one module."""
    monkeypatch.setenv(fork_python.FOLDER, str(tmp_path))
    command = fork_python.write_command(str(tmp_path))
    ready, report = os.pipe()
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path), str(report)], pass_fds=[report])
    os.close(report)
    os.read(ready, 1)
    yield command
    (tmp_path / "socket").unlink()  # as a run does at its end, with the whole folder
    assert server.wait(30) == 0


def run(python: str, *arguments: str, **options) -> subprocess.CompletedProcess:
    options = {"timeout": 30, **options}
    return subprocess.run([python, *arguments], capture_output=True, text=True, **options)


def test_a_command_has_its_arguments_environment_folder_and_descriptors(python, tmp_path):
    code = "import sys, os; print(sys.argv, os.environ['HUE'], os.getcwd(), 'decimal' in sys.modules); print(input())"
    done = run(python, "-B", "-X", "dev", "-c", code, "a", "b c", input="in\n", cwd=tmp_path,
               env=os.environ | {"HUE": "red"})  # fmt: skip
    assert done.stdout == f"['-c', 'a', 'b c'] red {tmp_path} True\nin\n"
    ready, report = os.pipe()
    run(python, "-c", f"import os; os.write({report}, b'through')", pass_fds=[report])
    assert os.read(ready, 7) == b"through"


def test_temporary_files_lie_where_the_command_says(python, tmp_path):
    there = os.environ | {"TMPDIR": str(tmp_path)}
    done = run(python, "-c", "import tempfile; print(tempfile.gettempdir())", env=there)
    assert done.stdout == f"{tmp_path}\n"


def test_a_script_is_the_main_module(python, tmp_path):
    (tmp_path / "neighbour.py").write_text("COLOUR = 'blue'")
    script = tmp_path / "script.py"
    script.write_text("import json, sys, neighbour; json.dump([__name__, sys.argv, neighbour.COLOUR], sys.stdout)")
    assert json.loads(run(python, "-u", str(script), "x").stdout) == ["__main__", [str(script), "x"], "blue"]


@pytest.mark.parametrize(("code", "status"), [("pass", 0), ("raise SystemExit(7)", 7), ("1 / 0", 1)])
def test_the_exit_status_is_the_forks(python, code, status):
    done = run(python, "-c", code)
    assert done.returncode == status
    assert ("ZeroDivisionError" in done.stderr) == (status == 1)


def test_multiprocessing_spawns_through_it(python):
    code = """
import multiprocessing, sys
context = multiprocessing.get_context("spawn")
queue = context.Queue()
child = context.Process(target=queue.put, args=(5,))
child.start()
print(queue.get(), "decimal" in sys.modules)
child.join()
print(child.exitcode)
"""
    assert run(python, "-c", code).stdout == "5 True\n0\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_ends_the_command_ends_the_fork(python, tmp_path, number):
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); os.rename('pid', 'written'); time.sleep(60)"
    command = subprocess.Popen([python, "-c", code], cwd=tmp_path)
    written = tmp_path / "written"
    wait_until(written.exists)
    fork = int(written.read_text())
    assert fork != command.pid and psutil.pid_exists(fork)
    command.send_signal(number)
    command.wait(30)
    wait_until(lambda: not psutil.pid_exists(fork))


REQUEST = json.dumps({"argv": ["-c", "import time; time.sleep(60)"], "env": {}, "cwd": "/", "fds": [0]}).encode()


@pytest.mark.parametrize("sent", [b"", len(REQUEST).to_bytes(8, "big"), len(REQUEST).to_bytes(8, "big") + REQUEST[:9],
                                  len(REQUEST).to_bytes(8, "big") + REQUEST])  # fmt: skip
def test_a_client_that_is_killed_at_any_moment_ends_no_other(python, tmp_path, sent):
    """Ray kills a worker that is slow to register, perhaps before the server has read what it asked."""
    with socket.socket(socket.AF_UNIX) as client, open(os.devnull) as null:
        client.connect(str(tmp_path / "socket"))
        if sent:
            socket.send_fds(client, [sent], [null.fileno()])
    assert run(python, "-c", "print(6)").stdout == "6\n"
    (server,) = (one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in (one.info["cmdline"] or []))
    wait_until(lambda: not server.children())


def wait_until(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_command_is_an_executable_of_its_owner_alone(tmp_path):
    assert Path(fork_python.write_command(str(tmp_path))).stat().st_mode & 0o777 == 0o700
