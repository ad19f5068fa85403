"""Jobs in processes of their own, counted as they finish."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

from auditor.progress import Task

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    function: Callable[[Job], None],
    jobs: Sequence[Job],
    size: Callable[[Job], float],
    workers: int | None,
    task: Task,
) -> None:
    """Run a function on every job, in this process where one worker is enough."""
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    if workers <= 1:
        for job in jobs:
            function(job)
            task.advance(size(job))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_to_parent) as pool:
        running = {pool.submit(function, job): job for job in jobs}
        try:
            for future in as_completed(running):
                future.result()
                task.advance(size(running[future]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def map_jobs(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int, task: Task
) -> list[Result]:
    """Results of a function of every job, in the order of the jobs, whatever the workers."""
    if min(workers, len(jobs)) <= 1:
        return [_counted(function(job), task) for job in jobs]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_to_parent) as pool:
        try:
            return [_counted(result, task) for result in pool.map(function, jobs)]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _counted(result: Result, task: Task) -> Result:
    task.advance(1)
    return result


def _leave_to_parent() -> None:
    """An interrupt stops the parent, which then stops its workers; they need not complain."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
