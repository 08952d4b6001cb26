"""What does the GIL cost, and what does it not? Three kinds of work, in threads and in processes.

Computing in Python holds the GIL: threads take turns. Computing in C mostly lets it go (hashing,
compressing, drivers), and waiting always does. `cores` is the CPU time that was used in each
second: over 1 only where two ran at the same time.
"""

import hashlib
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

from example import claim, keep, keeps

JOBS = int(os.environ.get("JOBS", "8"))
ORDER = {"items": [{"phone": f"+98912{n:07}", "amount": "5000"} for n in range(40)]}
PICTURE = bytes(1_000_000)


def computing(_job: int) -> None:
    for _ in range(1_500):
        sum(int(item["amount"]) for item in json.loads(json.dumps(ORDER))["items"])


def computing_in_c(_job: int) -> None:
    for _ in range(40):
        hashlib.sha256(PICTURE).digest()


def waiting(_job: int) -> None:
    time.sleep(0.05)


def timed(job) -> float:
    """Runs `job(0)`; the CPU time that it took in this thread, which counts in whichever process
    that is.
    """
    began = time.thread_time()
    job(0)
    return time.thread_time() - began


def run(pool: Executor, job, workers: int) -> "tuple[float, float]":
    """Seconds for all jobs, and the cores that were busy."""
    list(pool.map(timed, [waiting] * workers))  # all workers have started
    began = time.monotonic()
    used = sum(pool.map(timed, [job] * JOBS))
    seconds = time.monotonic() - began
    return seconds, used / seconds


def has_gil() -> bool:
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def new_pool(how: str, workers: int) -> Executor:
    if how == "threads":
        return ThreadPoolExecutor(workers)
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def measure(job, how: str) -> "list[tuple]":
    """A row for each number of workers."""
    rows, alone = [], None
    name = job.__name__.replace("_", " ").replace(" c", " C")
    for workers in (1, 2, 4, 8) if keeps() else (1, 2):
        with new_pool(how, workers) as pool:
            seconds, cores = run(pool, job, workers)
        alone = alone or seconds
        times = f"{alone / seconds:.2f}"
        rows.append((name, how, workers, f"{seconds:.3f}", times, f"{cores:.2f}"))
        speed = f"{seconds:.3f} s, {times} times as fast as one, {cores:.2f} cores"
        print(f"{name:14} {how:9} {workers} workers: {speed}")
    return rows


if __name__ == "__main__":
    jobs = (computing, computing_in_c, waiting)
    rows = [row for job in jobs for how in ("threads", "processes") for row in measure(job, how)]
    keep("gil", ("work", "how", "workers", "seconds", "times as fast", "cores"), rows)
    with new_pool("threads", 4) as pool:
        one_at_a_time = run(pool, computing, 4)[1] < 1.2 or not has_gil()
        # Five tries, since a busy machine may stall any of them.
        overlaps = any(run(pool, waiting, 4)[0] < 0.9 * JOBS * 0.05 for _ in range(5))
    claim(one_at_a_time and overlaps, "Threads compute one at a time in Python, and wait at once.")
