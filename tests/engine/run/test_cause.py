"""Why a run failed is a whole sentence with the kind of the error, also where another process raised it."""

import pytest

from vrft_aug.engine.run.cause import why
from vrft_aug.errors import RunFailed

FROM_RAY = """ray::TaskRunner.run() (pid=7, ip=127.0.0.1)
  File "trainer.py", line 3, in fit
RuntimeError: first cause
During handling of the above exception, another exception occurred:
  File "worker.py", line 4
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB.
For debugging, set CUDA_LAUNCH_BLOCKING=1.
"""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (AssertionError(), "AssertionError: it gives no reason"),
        (KeyError("prompts"), "KeyError: 'prompts'"),
        (ValueError("the batch is\ntoo small\nfor 8 devices\n"), "ValueError: the batch is ... for 8 devices"),
        (RunFailed("the trainer (process 7) died"), "the trainer (process 7) died"),
        (RuntimeError(FROM_RAY), "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB. ... "
                                 "For debugging, set CUDA_LAUNCH_BLOCKING=1."),
    ],
)  # fmt: skip
def test_the_reason_is_a_whole_sentence(error, expected):
    assert why(error) == expected
