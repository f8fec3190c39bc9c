"""The environment of a process that builds an FSDP engine on a CPU as the only one of its group."""

import os

from repository import ROOT

ENV = {**os.environ, "VERL_PLATFORM": "cpu", "CUDA_VISIBLE_DEVICES": "-1", "RANK": "0", "LOCAL_RANK": "0",
       "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "OMP_NUM_THREADS": "1",
       "TORCHDYNAMO_DISABLE": "1",
       "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "toys")])}  # fmt: skip
