"""The pool below the kernels: no race, and nothing allocated once its threads are there."""

# ruff: noqa: S603, S607 -- compilers run on this repository's own sources

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "native" / "csrc"
RUNS = r"""
#include <pthread.h>
#include "pool.h"
enum { PARTS = 8, RUNS = 300 };
static int cell[2][PARTS], wrong;
static sfl_pool *pool;
static void add(const void *job, unsigned part)
{
    int *own = ((int (*)[PARTS])job)[0];
    own[SHARED ? 0 : part]++;
}
static void *call(void *job)
{
    for (int i = 0; i < RUNS; i++) {
        sfl_pool_run(pool, add, job, PARTS);
        if (i % 100 == 50) sfl_pool_close(pool);
    }
    return 0;
}
int main(void)
{
    pthread_t other;
    pool = sfl_pool_new(4);
    pthread_create(&other, 0, call, cell[1]);
    call(cell[0]);
    pthread_join(other, 0);
    sfl_pool_free(pool);
    for (int i = 0; i < 2 * PARTS; i++) wrong |= cell[i / PARTS][i % PARTS] != RUNS;
    return !SHARED && wrong;
}
"""


@pytest.mark.slow
@pytest.mark.needs("cc", "setarch")
@pytest.mark.parametrize("shared", [0, 1])
def test_under_thread_sanitizer(shared: int, tmp_path: Path) -> None:
    """Two callers who also close it: no race. One would be seen: the parts of a job that write to one place race."""
    source, program = tmp_path / "runs.c", tmp_path / "runs"
    source.write_text(RUNS)
    flags = ["-std=gnu11", "-O1", "-g", "-fsanitize=thread", "-pthread", f"-I{CSRC}", f"-DSHARED={shared}"]
    subprocess.run(["cc", *flags, source, CSRC / "pool.c", "-o", program], check=True)
    done = subprocess.run(["setarch", "-R", program], capture_output=True, text=True, check=False, timeout=200)
    assert ("WARNING: ThreadSanitizer: data race" in done.stderr) == bool(shared), done.stderr
    assert (done.returncode == 0) == (not shared)


@pytest.mark.slow
@pytest.mark.needs("cc", "objdump")
def test_what_allocates_is_making_it_and_starting_threads(tmp_path: Path) -> None:
    subprocess.run(["cc", "-std=gnu11", "-O0", f"-I{CSRC}", "-c", CSRC / "pool.c", "-o", tmp_path / "o"], check=True)
    listed = subprocess.run(["objdump", "-dr", tmp_path / "o"], capture_output=True, text=True, check=True)
    functions = dict(re.findall(r"<(\w+)>:\n(.*?)(?=\n\n|\Z)", listed.stdout, re.DOTALL))
    called = {name: set(re.findall(r"\sR_\w+\s+(\w+)", body)) - {name} for name, body in functions.items()}
    allocating = {"calloc", "malloc", "realloc", "pthread_create"}
    assert {name for name in called if called[name] & allocating} == {"sfl_pool_new", "start_threads"}
    assert called["take_part"] <= {f"pthread_{name}" for name in ("mutex_lock", "mutex_unlock", "cond_signal")}
