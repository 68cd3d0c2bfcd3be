"""What is freed is kept, unless the environment decides: counted in page faults of fresh processes."""

import gc
import os
import subprocess
import sys

import pytest

from psr_studio.core.allocator import importing

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


def test_garbage_is_looked_for_again_once_all_is_imported_or_that_failed():
    frozen = gc.get_freeze_count()
    with importing() as imported:
        assert not gc.isenabled()
        imported()
        assert gc.isenabled() and gc.get_freeze_count() > frozen
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled()


def test_a_program_of_ours_looks_for_no_garbage_at_its_end():
    """What a cycle holds is let go by a collection at the end of a process, and by none here."""
    code = """
import sys
from psr_studio.cli.main import main

class Told:
    def __del__(self):
        print("collected", flush=True)

if {ours}:
    main(["presets"])
one = Told()
one.itself = one
"""
    said = [
        subprocess.run(
            [sys.executable, "-c", code.format(ours=ours)], capture_output=True, text=True, check=True
        ).stdout
        for ours in (False, True)
    ]
    assert said[0] == "collected\n" and "fashion-mnist" in said[1] and "collected" not in said[1]
