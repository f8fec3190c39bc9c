"""Checks which programs launch/slurm.sbatch starts, with which arguments. Stand-ins for the programs record it."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from repository import ROOT

SCRIPT = ROOT / "launch" / "slurm.sbatch"
WRITE_DOWN = 'echo "$(basename "$0") $*" >> "$CALLS"\n'
FAKES = {
    "scontrol": WRITE_DOWN + '[[ "$*" == "show hostnames $SLURM_JOB_NODELIST" ]] && printf "%s\\n" $FAKE_NODES',
    # as Slurm: the command once per task, one task per node; a signal goes to all of them
    "srun": WRITE_DOWN
    + """
        trap 'kill $(jobs -p) 2>/dev/null' TERM
        while [[ $1 == --* ]]; do [[ $1 == --ntasks=* ]] && tasks=${1#*=}; shift; done
        for ((i = 0; i < tasks; i++)); do SLURM_NODEID=$i "$@" & done
        wait; wait""",
    "ray": WRITE_DOWN
    + """
        if [[ $1 == health-check ]]; then [[ -f $CALLS.head ]]; exit; fi
        [[ $RAY_AUTH_MODE == token && ${#RAY_AUTH_TOKEN} == 64 ]] || exit 9
        [[ "$*" == *--head* ]] && touch "$CALLS.head"
        trap 'echo "ray stopped" >> "$CALLS"; kill $!; exit' TERM
        sleep 90 & wait""",
    "python": f"""
        [[ $1 == -c ]] && exec {sys.executable} "$@"
        {WRITE_DOWN}
        if [[ $1 == launch/* ]]; then  # it waits for the nodes
          until (( $(grep -c "^ray start" "$CALLS") == $(wc -w <<< "$FAKE_NODES") )); do /bin/sleep 0.1; done
          exit
        fi
        trap 'echo "recipe stopped" >> "$CALLS"; kill $!; exit 130' TERM
        [[ ${{FAKE_LONG:-}} ]] && {{ sleep 90 & wait; }}
        exit ${{FAKE_EXIT:-0}}""",
    "sleep": 'exec /usr/bin/env -i /bin/sleep "$(( $1 > 10 ? $1 : 0 ))"',  # no pause between health checks
}


@pytest.fixture
def job(tmp_path):
    """Two functions: one starts the script as Slurm would, the other reads which programs it has called."""
    pytest.importorskip("ray", reason="the training stack is not installed (make setup)")
    for name, body in FAKES.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/usr/bin/env bash\n{body}\n")
        program.chmod(0o755)
    for folder in ("conf", "launch", "recipes", "requirements"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    calls = tmp_path / "calls.txt"
    calls.touch()

    def start(*arguments: str, nodes: str = "a1 a2 a3", **env: str) -> subprocess.Popen:
        slurm = {"SLURM_JOB_ID": "123456", "SLURM_JOB_NODELIST": "a[1-3]", "SLURM_CPUS_ON_NODE": "64"}
        slurm |= {"SLURM_GPUS_ON_NODE": "8", "FAKE_NODES": nodes, "CALLS": str(calls)}
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SLURM_"))}
        return subprocess.Popen(
            ["bash", str(SCRIPT), *arguments], cwd=tmp_path, env=clean | slurm | {"PATH": path} | env,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    return start, lambda: calls.read_text().splitlines()


def test_the_first_node_is_the_head_and_the_others_join_it(job):
    from ray.util import get_node_ip_address

    start, calls = job
    process = start("recipes/grpo.py", "dataset=blood", "out=runs/blood", SLURM_RESTART_COUNT="0")
    assert process.wait(60) == 0, process.stdout.read()
    address = f"{get_node_ip_address()}:{20000 + 123456 % 10000}"
    starts = [line for line in calls() if line.startswith("ray start")]
    common = "ray start --block --num-cpus=64 --num-gpus=8"
    head = f"{common} --head --port={address.split(':')[1]} --temp-dir=/tmp/ray-123456 --include-dashboard=false"
    assert sorted(starts) == sorted([head, *[f"{common} --address={address}"] * 2])
    assert starts[0] == head
    assert "srun --export=ALL --overlap --nodes=3 --ntasks=3 bash -c start_node" in calls()


def test_the_nodes_are_checked_then_the_recipe_runs_with_slurms_numbers_and_the_given_overrides_last(job, tmp_path):
    start, calls = job
    process = start("recipes/grpo.py", "dataset=blood", "hardware.devices_per_node=4")
    assert process.wait(60) == 0, process.stdout.read()
    assert [line for line in calls() if line.startswith("python")] == [
        f"python launch/check_nodes.py --folder {tmp_path} --nodes 3",
        "python recipes/grpo.py hardware.ray.address=auto hardware.nodes=3 hardware.devices_per_node=8 "
        "dataset=blood hardware.devices_per_node=4",
    ]


def test_at_the_end_every_node_is_stopped_and_cleaned(job):
    start, calls = job
    assert start("recipes/grpo.py").wait(60) == 0
    assert calls().count("ray stopped") == 3
    assert calls()[-1] == "srun --export=ALL --overlap --nodes=3 --ntasks=3 rm -rf /tmp/ray-123456"


def test_one_node_needs_no_other(job):
    start, calls = job
    assert start("recipes/sft.py", nodes="a1").wait(60) == 0
    assert [line.split()[-4] for line in calls() if line.startswith("ray start")] == ["--head"]


def test_a_failed_recipe_fails_the_job_and_stops_the_cluster(job):
    start, calls = job
    assert start("recipes/grpo.py", FAKE_EXIT="3").wait(60) == 3
    assert calls().count("ray stopped") == 3


def test_slurms_signal_before_the_time_is_up_interrupts_the_recipe(job):
    start, calls = job
    process = start("recipes/grpo.py", FAKE_LONG="1")
    deadline = time.monotonic() + 60
    while not any(line.startswith("python recipes") for line in calls()):
        assert process.poll() is None and time.monotonic() < deadline, process.stdout.read()
        time.sleep(0.1)
    time.sleep(0.3)  # the stand-in sets its trap
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert calls().index("recipe stopped") < calls().index("ray stopped")


def environments(folder, *names: str) -> None:
    """Stand-ins for environments: activating one writes its name down."""
    for name in names:
        (folder / name / "bin").mkdir(parents=True)
        (folder / name / "bin" / "activate").write_text(f'echo "activated {name}" >> "$CALLS"\n')


@pytest.mark.parametrize(("overrides", "expected"), [([], ".venv"), (["hardware=multi_node", "seed=1"], ".venv-gpu"),
                                                     (["hardware=gpu_2x80g", "hardware=cpu"], ".venv")])  # fmt: skip
def test_the_job_runs_in_the_environment_of_its_hardware(job, tmp_path, overrides, expected):
    environments(tmp_path, ".venv", ".venv-gpu")
    start, calls = job
    assert start("recipes/sft.py", *overrides, nodes="a1").wait(60) == 0
    assert calls()[0] == f"activated {expected}"


def test_the_environment_of_other_hardware_is_refused(job, tmp_path):
    environments(tmp_path, ".venv")
    start, calls = job
    process = start("recipes/grpo.py", "hardware=multi_node")
    assert process.wait(60) == 2 and calls() == []
    line = "error: no .venv-gpu here, which hardware=multi_node needs: make setup HARDWARE=multi_node\n"
    assert process.stdout.read() == line


@pytest.mark.parametrize("arguments", [[], ["recipes/nothing.py"]])
def test_without_a_recipe_nothing_starts(job, arguments):
    start, calls = job
    process = start(*arguments)
    assert process.wait(60) == 2
    assert process.stdout.read().startswith("error: ")
    assert calls() == []


def test_the_script_is_sound():
    assert subprocess.run(["bash", "-n", SCRIPT]).returncode == 0
    if shutil.which("shellcheck"):
        result = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout
