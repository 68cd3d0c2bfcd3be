"""Disks that refuse, made real: an errno of one's choice for some files, a full disk of two MiB, another user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PRELOADED = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int refused(int fd) {
  char link[64], path[4096];
  const char *named = getenv("REFUSE_WRITES_TO");
  if (!named) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  if (!strstr(path, named)) return 0;
  errno = atoi(getenv("REFUSE_WITH"));
  return 1;
}
#define AT(name, offset_type) \
  ssize_t name(int fd, const void *from, size_t n, offset_type at) { \
    ssize_t (*real)(int, const void *, size_t, offset_type) = dlsym(RTLD_NEXT, #name); \
    return refused(fd) ? -1 : real(fd, from, n, at); \
  }
AT(pwrite, off_t)
AT(pwrite64, off64_t)
ssize_t write(int fd, const void *from, size_t n) {
  ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
  return refused(fd) ? -1 : real(fd, from, n);
}
"""


@pytest.fixture(scope="session")
def refusing_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library to preload: writes to files whose path holds REFUSE_WRITES_TO fail with the number REFUSE_WITH."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("refusing")
    (folder / "refuse.c").write_text(PRELOADED)
    built = folder / "refuse.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", built, folder / "refuse.c", "-ldl"], check=True)
    return built


HELPERS = """
import encodings.ascii, encodings.idna, os, sys  # another user might not find them later
from psr_studio.core.errors import StudioError
from psr_studio.storage.workspace import Workspace

def become_nobody():
    if os.getuid() == 0:  # permissions do not bind root
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
"""


def in_python(code: str, *args: object, before: tuple[str, ...] = (), **env: object) -> list[str]:
    """The lines that a new Python prints; `before` stands in front of the command, such as a shell with a limit."""
    run = subprocess.run(
        [*before, sys.executable, "-c", HELPERS + textwrap.dedent(code), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **{name: str(value) for name, value in env.items()}},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout.strip().splitlines()
