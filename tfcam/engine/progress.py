"""Progress of long runs, and clean interruption."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

from tfcam.ops.loops import Meter

T = TypeVar("T")

#: Told how many images are done; parts of them count.
Report: TypeAlias = Callable[[float], None]

#: Seconds from one look at a run to the next.
_INTERVAL = 0.1


def watched(function: Callable[[], T], meter: Meter, report: Report | None) -> T:
    """Return what a function gives; meanwhile tell which share of it is done, and end its loops on an interrupt.

    TensorFlow would not be interrupted: Python hears of Ctrl-C once the main thread has returned to it. So that waits
    here, while another thread runs the function. In any other thread nothing can be interrupted.
    """
    if report is None and threading.current_thread() is not threading.main_thread():
        return function()
    meter.start()
    with ThreadPoolExecutor(1, "tfcam") as pool:
        try:
            running = pool.submit(function)
            while not wait([running], _INTERVAL).done:
                if report is not None:
                    report(meter.share_done())
        except BaseException:
            meter.stop()
            raise
        return running.result()


def after(done: int, report: Report) -> Report:
    """Return the report of images that come after so many others."""
    return lambda more: report(done + more)


@contextmanager
def bar(count: int | None, console: Any = None, of: str = "images") -> Iterator[Report]:
    """Show a progress bar of so many, None if that is not known, and give the function that moves it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    said = f"{{task.completed:.1f}} {of}" if count is None else f"{{task.completed:.1f}} of {{task.total}} {of}"
    columns = (TextColumn("Explaining"), BarColumn(), TextColumn(said), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=count)
        # A run may be over before the bar is drawn by itself.
        yield lambda done: progress.update(task, completed=done, refresh=True)
