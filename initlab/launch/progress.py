"""A progress bar."""

from collections.abc import Iterator
import contextlib
import html
import sys
import time
from typing import Any

# Of a notebook: a bar that is gone sooner would only flicker.
_DELAY = 1.0


@contextlib.contextmanager
def bar(total: int) -> Iterator[Any]:
  """Yields `progress(label, count)`: a bar on a terminal or in a notebook.

  It is gone at the end. Elsewhere, e.g. in a pipe, there is none.

  Args:
    total: the number of missing seeds of all settings.
  """
  if not total:
    yield _quiet
    return
  from rich import console

  screen = console.Console(stderr=True)
  if screen.is_jupyter:
    shown = _in_a_notebook(total)
  elif sys.stderr.isatty():
    shown = _on_a_terminal(total, screen)
  else:
    shown = contextlib.nullcontext(_quiet)
  with shown as progress:
    yield progress


def _quiet(label: str, count: float) -> None:
  """Shows nothing."""
  del label, count


@contextlib.contextmanager
def _on_a_terminal(total: int, screen: Any) -> Iterator[Any]:
  from rich import progress

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


@contextlib.contextmanager
def _in_a_notebook(total: int) -> Iterator[Any]:
  """A bar of HTML in the output of the cell, which needs no widgets."""
  from IPython import display  # pyrefly: ignore[missing-import]

  start, done, handle = time.monotonic(), 0.0, None

  def show(content: str) -> None:
    nonlocal handle
    data = {'text/plain': '', 'text/html': content}
    if handle is None:
      handle = display.display(data, raw=True, display_id=True)
    else:
      handle.update(data, raw=True)

  def advance(label: str, count: float) -> None:
    nonlocal done
    done += count
    if time.monotonic() - start > _DELAY:
      show(
        f'<progress max="{total}" value="{done:.4g}"></progress> '
        f'{html.escape(label)} {done:.4g} of {total} seeds'
      )

  try:
    yield advance
  finally:
    if handle is not None:
      show('')
