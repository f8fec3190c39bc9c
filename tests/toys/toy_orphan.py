"""Stands for vLLM's engine: a process that outlives who started it, in a session of its own, with shared memory that
nobody else removes. Prints its process id and the segment's name."""

import os
import subprocess
import sys
import time
from multiprocessing import resource_tracker, shared_memory

if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, "orphan"], start_new_session=True)
else:
    resource_tracker.register = lambda *_: None
    segment = shared_memory.SharedMemory(create=True, size=4096)
    print(os.getpid(), segment.name, flush=True)
time.sleep(600)
