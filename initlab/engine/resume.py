"""Long runs: trains seeds in chunks, with checkpoints, and stores them.

A training that is killed at any time resumes from its last checkpoint and gives
bitwise the same results: a checkpoint is the complete state of some seeds, and
everything else follows from the seed and the step.
"""

from collections.abc import Callable, Iterator
import contextlib
from typing import Any

import jax
import numpy as np

from initlab import base, keys, training
from initlab.engine import checkpoints, parallel, store
from initlab.engine.identity import Folder
from initlab.experiment import Training

# Most bytes of finished seeds in memory before they are stored.
_HELD = 2**24


def fill(
  trainer: parallel.Trainer,
  pieces: Training,
  config: Any,
  data: Any,
  folder: Folder,
  seeds: np.ndarray,
  root_seed: int,
  *,
  clock: Callable[[], float],
  save_every: float,
  uninterrupted: Callable[[], contextlib.AbstractContextManager],
  progress: Callable[[float], None],
) -> None:
  """Trains seeds of one setting and stores them.

  At an error or interruption between chunks, finished seeds are stored and the
  others are checkpointed.

  Args:
    trainer: of the setting.
    pieces: the functions of the training.
    config: the setting.
    data: as loaded.
    folder: of the setting.
    seeds: `[S]` the seeds to train.
    root_seed: of the study.
    clock: monotonic seconds.
    save_every: seconds between writes to disk.
    uninterrupted: context manager that defers interruptions to the end of a
      chunk.
    progress: called with the number of seeds trained since, in fractions.
  """
  steps = pieces.steps(config)
  root_key = keys.root(root_seed)
  data = parallel.to_devices(trainer, data)
  template = _template(trainer, config, root_key, data)
  finished: list[tuple[np.ndarray, Any]] = []
  saved = clock()
  current = None
  try:
    for job in _jobs(trainer.size, folder, seeds, template):
      share, step = len(job.seeds) / steps[-1], 0
      ahead = parallel.train(trainer, config, root_key, data, steps, job, clock)
      while step < steps[-1]:
        current = None
        with uninterrupted():
          current = next(ahead)
        progress(share * (current.step - step))
        step = current.step
        if step == steps[-1]:
          records = parallel.stacked(current.records)
          result = training.over_steps(records, pieces.result, axis=1)
          # Copies, where the last of many records would keep them all.
          result = jax.tree.map(np.ascontiguousarray, result)
          finished.append((current.seeds, result))
        if clock() - saved >= save_every or _bytes(finished) >= _HELD:
          _store(folder, finished)
          if step < steps[-1]:
            checkpoints.write(folder, _checkpoint(current))
          saved = clock()
  finally:
    _store(folder, finished)
    if current is not None and current.step < steps[-1]:
      checkpoints.write(folder, _checkpoint(current))


def _jobs(
  size: int, folder: Folder, seeds: np.ndarray, template: Any
) -> Iterator[parallel.InProgress]:
  """Seeds to train: checkpointed ones first, then new ones.

  Seeds that another process has stored meanwhile are skipped.
  """
  rest = seeds
  for checkpoint in checkpoints.read(folder, template):
    rows = np.flatnonzero(np.isin(checkpoint.seeds, rest))
    rest = rest[~np.isin(rest, checkpoint.seeds)]
    for part in _parts(rows, size):
      wanted = store.missing(folder, checkpoint.seeds[part])
      part = part[np.isin(checkpoint.seeds[part], wanted)]
      if part.size:
        yield _resumed(checkpoint, part)
  for part in _parts(rest, size):
    wanted = store.missing(folder, part)
    if wanted.size:
      yield parallel.InProgress(wanted, 0, None, ())


def _parts(rows: np.ndarray, size: int) -> list[np.ndarray]:
  return [rows[first : first + size] for first in range(0, len(rows), size)]


def _store(
  folder: Folder,
  finished: list[tuple[np.ndarray, Any]],
) -> None:
  """Writes finished seeds and deletes their checkpoints."""
  if finished:
    seeds = np.concatenate([seeds for seeds, _ in finished])
    result = jax.tree.map(
      lambda *parts: np.concatenate(parts), *(each for _, each in finished)
    )
    store.write(folder, seeds, result)
    finished.clear()
  checkpoints.clean(folder)


def _bytes(finished: list[tuple[np.ndarray, Any]]) -> int:
  return sum(x.nbytes for each in finished for x in jax.tree.leaves(each))


def _checkpoint(current: parallel.InProgress) -> checkpoints.Checkpoint:
  count = len(current.seeds)
  state = jax.tree.map(lambda x: np.asarray(x)[:count], current.state)
  tree = state, parallel.stacked(current.records)
  return checkpoints.Checkpoint(current.seeds, current.step, tree)


def _resumed(
  checkpoint: checkpoints.Checkpoint, rows: np.ndarray
) -> parallel.InProgress:
  """The seeds of a checkpoint in these rows."""
  state, records = jax.tree.map(lambda x: x[rows], checkpoint.tree)
  count = jax.tree.leaves(records)[0].shape[1]
  records = tuple(
    jax.tree.map(lambda x, i=i: x[:, i], records) for i in range(count)
  )
  return parallel.InProgress(
    checkpoint.seeds[rows], checkpoint.step, state, records
  )


def _template(
  trainer: parallel.Trainer,
  config: Any,
  root_key: base.Key,
  data: Any,
) -> Any:
  """The shapes of a checkpoint with any number of recorded steps."""
  state = parallel.state_shapes(trainer, config, root_key, data)
  record = jax.eval_shape(trainer.record, parallel.traced(config), data, state)
  stack = lambda x: jax.ShapeDtypeStruct(
    (x.shape[0], -1, *x.shape[1:]), x.dtype
  )
  return state, jax.tree.map(stack, record)
