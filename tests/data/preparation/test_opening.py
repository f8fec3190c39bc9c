"""Images opened in other processes: the same rows in the same order, and errors there are reported here."""

import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest
from repository import ROOT
from toy_data import compose_config, write_toy

from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation import opening
from vrft_aug.data.preparation.opening import image_opener
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.errors import InputError


def noise(number, sides=(28, 28)):
    rng = np.random.default_rng(0)
    return [Sample(rng.integers(0, 256, (*sides, 3), np.uint8), 0, str(i), str(i)) for i in range(number)]


@pytest.mark.parametrize("dataset", ["phantom", "folder"])
def test_the_files_are_those_of_one_process(tmp_path, data_root, dataset):
    if dataset == "folder":
        write_toy(data_root, "folder")
    made = [prepare(compose_config(f"dataset={dataset}", f"data_root={data_root}", f"out={tmp_path / str(workers)}",
                                   "limit.train=300", f"workers={workers}"), None) for workers in (0, 2)]
    assert made[0] == made[1] and made[0]["files"]["train.parquet"]["sha256"]


def test_images_come_in_order_and_few_are_read_ahead():
    read, samples = [], noise(400, (128, 128))
    counted = (read.append(sample.source_id) or sample for sample in samples)
    with image_opener(2, 0) as open_images:
        for i, (sample, opened) in enumerate(open_images(counted)):
            assert sample is samples[i] and opened.size == (128, 128)
            assert opened == opening.open_all([sample.image])[0]
            assert len(read) - i <= 4 * (opening.AHEAD * 2 + 1)  # four images of this size make a batch
    assert i == 399


def test_many_images_get_processes_and_few_none():
    with image_opener(None, opening.MANY - 1) as open_images:
        assert open_images is opening.open_here
    with image_opener(None, opening.MANY) as open_images:
        assert open_images.args[1] == opening.AHEAD * opening.cores()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_file_is_named_and_the_others_are_opened(tmp_path, workers):
    path = tmp_path / "torn.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    samples = [*noise(2), Sample(path, 0, "torn", "torn"), *noise(1)]
    with image_opener(workers, 0) as open_images:
        results = list(open_images(samples))
    assert [sample for sample, _ in results] == samples
    assert [isinstance(result, opening.Opened) for _, result in results] == [True, True, False, True]
    assert isinstance(results[2][1], InputError) and str(results[2][1]).startswith(f"{path}: not a readable image")
    assert results[0][1] == opening.open_all([samples[0].image])[0]
    assert not running(os.getpid())


def test_a_killed_process_is_an_error():
    told = pytest.raises(InputError, match="workers=1: a process that encodes images ended")
    with told, image_opener(1, 0) as open_images:
        for i, _ in enumerate(open_images(noise(4000))):
            if i == 100:
                running(os.getpid())[0].kill()


def test_processes_end_with_a_killed_parent(tmp_path):
    code = ("import sys; sys.path[:0] = sys.argv[1:]\nfrom test_opening import noise\n"
            "from vrft_aug.data.preparation.opening import image_opener\nimport time\n"
            "if __name__ == '__main__':\n"
            "    with image_opener(2, 0) as open_images:\n"
            "        next(open_images(noise(4000)))\n        print('open', flush=True)\n        time.sleep(100)\n")
    script, toys = tmp_path / "parent.py", ROOT / "tests" / "toys"
    script.write_text(code)
    with subprocess.Popen([sys.executable, script, os.path.dirname(__file__), toys], stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"open\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(running(parent.pid)) == 2
        parent.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


def running(pid):
    """The processes that `multiprocessing` started with a task to do."""
    return [child for child in psutil.Process(pid).children() if "spawn_main" in " ".join(child.cmdline())]
