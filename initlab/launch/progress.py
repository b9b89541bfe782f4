"""A progress bar."""

from collections.abc import Iterator
import contextlib
import importlib.util
import sys
from typing import Any


@contextlib.contextmanager
def bar(total: int) -> Iterator[Any]:
  """Yields `progress(label, count)`: a bar on a terminal or in a notebook.

  Elsewhere, e.g. in a pipe, it shows nothing.

  Args:
    total: the number of missing seeds of all settings.
  """
  quiet = lambda label, count: None
  if not total:
    yield quiet
    return
  from rich import console, progress

  screen = console.Console(stderr=True)
  widgets = screen.is_jupyter and importlib.util.find_spec('ipywidgets')
  if not (sys.stderr.isatty() or widgets):
    yield quiet
    return
  with progress.Progress(
    progress.TextColumn('{task.description}'),
    progress.BarColumn(),
    progress.TextColumn('{task.completed:.4g}/{task.total} seeds'),
    progress.TimeElapsedColumn(),
    progress.TimeRemainingColumn(),
    console=screen,
    transient=True,
  ) as shown:
    task = shown.add_task('', total=total)
    yield lambda label, count: shown.update(
      task, description=label, advance=count
    )
