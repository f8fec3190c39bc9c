"""The doctor names a planted fault of each kind that it checks, and says what to do about it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from namespaces import namespace, on_tmpfs
from repository import ROOT, gpu_profiles

from vrft_aug.engine.run import install_checks, machine_checks, preflight

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")


def examine(*arguments: str, inside: list[str] = (), **env: str) -> tuple[int, dict[str, str]]:
    """Run the doctor, behind the command `inside`; return its exit code, and the problems by the check's name."""
    command = [*inside, sys.executable, "-m", "vrft_aug.engine.run.doctor", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True, timeout=300)
    lines = [line.removeprefix("problem").strip() for line in done.stdout.splitlines() if line.startswith("problem")]
    assert f"{len(lines)} problem" in done.stdout or not lines, done.stdout + done.stderr
    return done.returncode, {line[:16].strip(): line[16:].strip() for line in lines}


def problem(name: str, *arguments: str, inside: list[str] = (), **env: str) -> str:
    """The problem that the check `name` finds; the test fails if it finds none."""
    code, problems = examine(*(arguments or ["--quick"]), inside=inside, **env)
    assert code == 1 and name in problems, (code, problems)
    return problems[name]


def shadow(folder: Path, distribution: str, version: str) -> str:
    """A folder for PYTHONPATH that holds another version of `distribution`, without entry points."""
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    return str(folder)


def broken(folder: Path, module: str) -> str:
    """A folder for PYTHONPATH in which `module` cannot be imported."""
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text('raise ImportError("planted fault")\n')
    return str(folder)


def test_python():
    assert machine_checks.python((3, 11, 9)) == ("3.11.9", "")
    assert "Python 3.11 is needed" in machine_checks.python((3, 13, 0))[1]


def test_cores():
    core = str(min(os.sched_getaffinity(0)))
    assert problem("cores", inside=["taskset", "--cpu-list", core]).startswith("1; 2 are needed")


def test_memory_of_a_container(tmp_path, monkeypatch):
    for name, text in {"max": f"{4 * 2**30}\n", "current": f"{3 * 2**30}\n"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    (tmp_path / "memory.stat").write_text(f"anon 7\ninactive_file {2**30}\n")
    monkeypatch.setattr(preflight, "CGROUP", tmp_path)
    assert machine_checks.memory(1) == ("2.0 GiB free", "")
    assert "9 GiB are needed" in machine_checks.memory(9)[1]
    (tmp_path / "memory.max").write_text("max\n")
    assert preflight.free_memory() != 2 * 2**30


def test_shared_memory():
    assert "docker run --shm-size" in problem("shared memory", inside=on_tmpfs(Path("/dev/shm"), 64))


def test_full_and_read_only_folders(tmp_path):
    enter = ["sh", "-c", f'cd {tmp_path} && exec "$@"', "sh"]
    full = problem("working folder", inside=[*on_tmpfs(tmp_path, 64), *enter])
    assert f"0.1 GiB free in {tmp_path}; 2 GiB are needed" in full
    read_only = problem("working folder", inside=[*on_tmpfs(tmp_path, 640, "ro"), *enter])
    assert f"{tmp_path} cannot be written (Read-only file system); make {tmp_path} writable" in read_only


def test_a_temporary_folder_too_long_for_sockets(tmp_path):
    folder = tmp_path / ("t" * 40)
    folder.mkdir()
    assert "too long for Ray's sockets" in problem("temporary folder", TMPDIR=str(folder))


def test_ports():
    assert "bring the loopback interface up" in problem("ports", inside=namespace("--net"))


def test_gpu(tmp_path):
    assert machine_checks.gpu()[1] == ""
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho couldn\\'t communicate with the NVIDIA driver; exit 9\n")
    driver.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    found = problem("GPU", "--quick", "--hardware=gpu_2x80g", PATH=path)
    assert "couldn't communicate with the NVIDIA driver; install the NVIDIA driver" in found


def test_versions(tmp_path):
    lock = tmp_path / "cpu.txt"
    lock.write_text("# a comment\nnumpy==1.0\npytest==1.0\nno-such-thing==2.0\nruff==0.1\n")
    found, remedy = install_checks.versions(lock)
    assert found.startswith("numpy ") and "not 1.0" in found and "no-such-thing missing, not 2.0 and 1 more" in found
    assert "make setup" in remedy
    assert "make setup HARDWARE=gpu_2x80g" in install_checks.versions(lock, "make setup HARDWARE=gpu_2x80g")[1]


def test_a_version_that_patches_were_not_written_for(tmp_path):
    code, problems = examine("--quick", PYTHONPATH=shadow(tmp_path, "verl", "0.9.2"))
    assert code == 1 and problems.keys() >= {"versions", "patches"}
    assert "verl 0.9.2, not 0.9.1" in problems["versions"] and "written for verl 0.9.1" in problems["patches"]


def test_a_plugin_that_is_not_registered(tmp_path):
    code, problems = examine("--quick", PYTHONPATH=shadow(tmp_path, "vrft-aug", "0.0.1"))
    assert code == 1 and problems.keys() >= {"verl's plugin", "vLLM's plugin"}
    expected = "vrft_aug.engine.verl.plugin is not registered (found: nothing); run `pip install"
    assert expected in problems["verl's plugin"]


@pytest.mark.parametrize(
    ("name", "switch"), [("verl's plugin", "VERL_USE_EXTERNAL_PLUGINS"), ("vLLM's plugin", "VLLM_PLUGINS")]
)
def test_a_plugin_that_is_disabled(name, switch):
    assert f"{switch}=other disables" in problem(name, **{switch: "other"})


@pytest.mark.parametrize(("name", "module"), [("verl loads it", "verl"), ("vLLM loads it", "vllm")])
def test_a_plugin_whose_import_fails(tmp_path, name, module):
    found = problem(name, "--hardware=cpu", PYTHONPATH=broken(tmp_path, module))
    assert "ImportError: planted fault; fix that" in found


def test_a_broken_environment_is_examined_all_the_same(tmp_path):
    code, problems = examine("--quick", PYTHONPATH=broken(tmp_path, "psutil"))
    assert code == 1 and "memory" in problems
    assert "cannot be checked: ImportError: planted fault; run `make setup`" in problems["memory"]


@pytest.mark.parametrize("hardware", sorted(path.stem for path in (ROOT / "conf" / "hardware").glob("*.yaml")))
def test_every_profile_can_be_examined(hardware):
    code, problems = examine("--quick", f"--hardware={hardware}")
    assert code == bool(problems)
    assert not [text for text in problems.values() if "cannot be checked" in text]
    if hardware in gpu_profiles() and shutil.which("nvidia-smi") is None:
        assert "install the NVIDIA driver" in problems["GPU"]


def test_quick_imports_nothing_heavy():
    run = "import sys; from vrft_aug.engine.run.doctor import *; report(checks('cpu', quick=True), quick=True)"
    ask = "print(sorted({'torch', 'verl', 'ray', 'vllm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"{run}; {ask}"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    summary, heavy = done.stdout.splitlines()[-2:]
    assert summary.startswith("doctor: 14 checks") and heavy == "[]", done.stdout + done.stderr
