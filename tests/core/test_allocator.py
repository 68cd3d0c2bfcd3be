"""What is freed is kept, unless the environment decides: counted in page faults of fresh processes."""

import os
import subprocess
import sys

import pytest

WORK = """
import resource, threading
import numpy as np
from psr_studio.core.allocator import keep_freed_memory

print(keep_freed_memory() if {kept} else None)

def work():
    for _ in range(10):  # 100 MB, as the activations of a small student
        np.ones(12_500_000)

before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def answer(kept, **environment):
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    command = [sys.executable, "-c", WORK.format(kept=kept)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=plain | environment)
    said, faults = done.stdout.split()
    return said, int(faults)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
def test_what_is_freed_is_kept_for_threads_too():
    said, faults = answer(kept=True)
    if said == "False":
        pytest.skip("another C library than glibc")
    assert said == "True" and faults < answer(kept=False)[1] / 4


def test_the_environment_decides_where_it_says_anything():
    assert answer(kept=True, MALLOC_ARENA_MAX="4")[0] == "False"
    assert answer(kept=True, GLIBC_TUNABLES="glibc.malloc.arena_max=4")[0] == "False"
