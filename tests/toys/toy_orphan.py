"""Plays vLLM's engine: a process in a new session that outlives the process that started it.

It holds shared memory that nobody else removes. It prints its process id and the name of the segment.
"""

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
