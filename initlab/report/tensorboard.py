"""Learning curves as TensorBoard event files.

One run per setting and statistic, so that TensorBoard draws the mean and the
ends of its interval in one chart:

    <folder>/<setting>/mean/events.out.tfevents.0
    <folder>/<setting>/interval_low/events.out.tfevents.0
    <folder>/<setting>/interval_high/events.out.tfevents.0

A tag is a measure, 'error', or that of a layer, 'activation_std/layer_3'.
Events carry no time, so equal results give equal files.
"""

from collections.abc import Iterator, Sequence
import pathlib
import re
import tempfile
from typing import Any

import numpy as np

from initlab import base, stats
from initlab.experiment import Outcome

_FILE = 'events.out.tfevents.0'
_RUNS = ('mean', 'interval_low', 'interval_high')


def library() -> tuple[Any, Any]:
  """tensorboardX's record writer and its Event class.

  Raises:
    UserError: the package is not installed.
  """
  try:
    from tensorboardX import RecordWriter
    from tensorboardX.proto import event_pb2
  except ImportError:
    raise base.UserError(
      '--tensorboard: tensorboardX is not installed: pip install '
      'initlab[tensorboard]'
    ) from None
  protocol: Any = event_pb2
  return RecordWriter, protocol.Event


def files(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, bytes]]:
  """Relative path and content of the files of all settings.

  Args:
    outcomes: of an experiment with recorded steps.

  Raises:
    UserError: the package is not installed.
  """
  for number, outcome in enumerate(outcomes):
    words = re.sub(r'[^\w.]+', '-', outcome.label).strip('-.')
    curves = _curves(outcome)
    for place, run in enumerate(_RUNS):
      lines = {tag: np.asarray(each[place]) for tag, each in curves.items()}
      path = f'{number:02}-{words}/{run}/{_FILE}'
      yield path, encoded(outcome.steps, lines)


def encoded(steps: Sequence[int], lines: dict[str, np.ndarray]) -> bytes:
  """The content of one event file.

  Args:
    steps: `[T]`.
    lines: tag -> `[T]`; values that are not finite are left out.

  Raises:
    UserError: the package is not installed.
  """
  writer_type, event_type = library()
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / _FILE
    writer = writer_type(str(path))
    header = event_type(file_version='brain.Event:2')
    writer.write(header.SerializeToString())
    for place, step in enumerate(steps):
      event = event_type(step=step)
      for tag, line in lines.items():
        if np.isfinite(line[place]):
          event.summary.value.add(tag=tag, simple_value=float(line[place]))
      writer.write(event.SerializeToString())
    writer.close()
    return path.read_bytes()


def _curves(outcome: Outcome) -> dict[str, Sequence[np.ndarray]]:
  """Tag -> `[T]` mean over seeds, low and high."""
  curves: dict[str, Sequence[np.ndarray]] = {}
  for field, axes in outcome.axes.items():
    if axes == ('step',):
      curves[field] = stats.average(outcome, field)[:3]
    elif axes == ('step', 'layer'):
      ends = stats.average(outcome, field)[:3]
      for layer in range(ends[0].shape[1]):
        tag = f'{field}/layer_{layer + 1}'
        curves[tag] = [end[:, layer] for end in ends]
  return curves
