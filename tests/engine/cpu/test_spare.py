"""Checks that the workers of a recipe that was forked for a table descend from it, and that nothing of it stays."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from test_fork_server import run, wait_until

from vrft_aug.engine.cpu import fork_python

SERVER = """
from vrft_aug.engine.cpu import fork_server as f
f.PRELOAD, f.BEFORE_RAY = ("decimal",), ("fractions",)
f.main()
"""
RECIPE = '''
import os, subprocess, sys
from pathlib import Path
import psutil
from vrft_aug.engine.cpu import fork_python, spare

folder = sys.argv[1]
os.environ[fork_python.FOLDER] = folder
python = fork_python.write_command(folder)
if "kill" in sys.argv:
    psutil.Process().children()[0].kill()
spare.serve(Path(folder))
code = """
import os, sys, time
print('worker', os.getpid(), [name in sys.modules for name in ('fractions', 'decimal', 'vllm')], flush=True)
time.sleep(%d)
""" % (60 if "wait" in sys.argv else 0)
worker = subprocess.Popen([python, "-c", code], stdout=subprocess.PIPE, text=True)
line = next(line for line in worker.stdout if line.startswith("worker"))  # a server that imports prints, too
_, number, imported = line.strip().split(" ", 2)
if "wait" in sys.argv:
    print(os.getpid(), number, os.getpid() in [one.pid for one in psutil.Process(int(number)).parents()], flush=True)
print(imported, worker.wait())
'''


@pytest.fixture
def python(tmp_path, monkeypatch):
    """The command that starts a recipe, with the server of a table."""
    folder = tmp_path / "table"
    folder.mkdir()
    monkeypatch.setenv(fork_python.FOLDER, str(folder))
    ready, report = os.pipe()
    command = [sys.executable, "-c", SERVER, str(folder), str(report), fork_python.RECIPES]
    server = subprocess.Popen(command, pass_fds=[report])
    os.close(report)
    os.read(ready, 1)
    yield fork_python.write_command(str(folder))
    (folder / "socket").unlink(missing_ok=True)  # after ten seconds without a recipe the server has ended
    assert server.wait(30) == 0


@pytest.fixture
def recipe(tmp_path) -> Path:
    (tmp_path / "recipe.py").write_text(RECIPE)
    (tmp_path / "run").mkdir()
    return tmp_path / "recipe.py"


def test_the_workers_of_a_recipe_descend_from_it_and_end_with_it(python, recipe, tmp_path):
    started = subprocess.Popen([python, recipe, tmp_path / "run", "wait"], stdout=subprocess.PIPE, text=True)
    number, worker, descends = started.stdout.readline().split()
    assert descends == "True"
    family = [psutil.Process(int(number)), *psutil.Process(int(number)).children(recursive=True)]
    assert int(worker) in [one.pid for one in family]
    psutil.Process(int(number)).kill()
    assert started.wait(30) == 128 + 9
    wait_until(lambda: not any(one.is_running() for one in family))


def test_a_worker_has_the_imports_of_the_table(python, recipe, tmp_path):
    assert run(python, recipe, tmp_path / "run").stdout == "[True, True, False] 0\n"


def test_without_its_spare_a_run_starts_a_server_of_its_own(python, recipe, tmp_path):
    """That server imports torch, vLLM and verl, but not what only recipes need."""
    done = run(python, recipe, tmp_path / "run", "kill", timeout=300)
    assert done.stdout == "[True, True, True] 0\n", done.stderr


def test_a_recipe_without_a_run_leaves_no_spare(python, tmp_path):
    done = run(python, "-c", "import os; print(os.getpid())")
    wait_until(lambda: not any(one.info["ppid"] == int(done.stdout) for one in psutil.process_iter(["ppid"])))
    assert done.returncode == 0
