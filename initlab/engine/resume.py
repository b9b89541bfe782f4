"""Long runs: seeds trained in pieces, checkpointed, resumed and stored.

A training that is killed at any instant goes on from its last checkpoint, to
the same bits as if it had never stopped: a checkpoint is the whole state of
some seeds, and all else follows from the seed and the step.
"""

from collections.abc import Callable, Iterator
import contextlib
from typing import Any

import jax
import numpy as np

from initlab import base, keys, training
from initlab.engine import checkpoints, parallel, store
from initlab.engine.identity import Setting
from initlab.experiment import Training

# Bytes of finished seeds that wait to be stored, so that memory does not grow
# with their number.
_HELD = 2**24


def fill(
  trainer: parallel.Trainer,
  pieces: Training,
  result_type: type,
  config: Any,
  data: Any,
  folder: Setting,
  seeds: np.ndarray,
  root_seed: int,
  *,
  clock: Callable[[], float],
  save_every: float,
  uninterrupted: Callable[[], contextlib.AbstractContextManager],
  progress: Callable[[float], None],
) -> None:
  """Trains seeds of one setting and stores them.

  However it ends, what is finished is stored and what is under way is saved,
  unless it ends within a piece.

  Args:
    trainer: of the setting.
    pieces: what the training consists of.
    result_type: the Result class.
    config: the setting.
    data: as loaded.
    folder: where it is stored.
    seeds: `[S]` those to train.
    root_seed: of the study.
    clock: in seconds, from any start.
    save_every: after so many seconds, what is new is written to disk.
    uninterrupted: the context of every piece: an interruption that waits for
      its end loses nothing.
    progress: told how many more seeds are trained, in fractions.
  """
  steps = pieces.steps(config)
  root_key, numbers = keys.root(root_seed), pieces.numbers(config)
  data = parallel.to_devices(trainer, data)
  template = _template(trainer, root_key, numbers, data)
  finished: list[tuple[np.ndarray, Any]] = []
  saved = clock()
  begun = None
  try:
    for job in _jobs(trainer.size, folder, seeds, template):
      share, step = len(job.seeds) / steps[-1], 0
      ahead = parallel.train(
        trainer, root_key, numbers, data, steps, job, clock
      )
      while step < steps[-1]:
        begun = None
        with uninterrupted():
          begun = next(ahead)
        progress(share * (begun.step - step))
        step = begun.step
        if step == steps[-1]:
          records = parallel.stacked(begun.records)
          result = training.over_steps(records, result_type, axis=1)
          # Copies, where the last of many records would keep them all.
          result = jax.tree.map(np.ascontiguousarray, result)
          finished.append((begun.seeds, result))
        if clock() - saved >= save_every or _bytes(finished) >= _HELD:
          _store(folder, finished)
          if step < steps[-1]:
            checkpoints.write(folder, _checkpoint(begun))
          saved = clock()
  finally:
    _store(folder, finished)
    if begun is not None and begun.step < steps[-1]:
      checkpoints.write(folder, _checkpoint(begun))


def _jobs(
  size: int, folder: Setting, seeds: np.ndarray, template: Any
) -> Iterator[parallel.Begun]:
  """What there is to train: first what has begun, then the rest.

  Seeds that another process has stored in the meantime are left out.
  """
  rest = seeds
  for checkpoint in checkpoints.read(folder, template):
    rows = np.flatnonzero(np.isin(checkpoint.seeds, rest))
    rest = rest[~np.isin(rest, checkpoint.seeds)]
    for part in _parts(rows, size):
      wanted = store.missing(folder, checkpoint.seeds[part])
      part = part[np.isin(checkpoint.seeds[part], wanted)]
      if part.size:
        yield _begun(checkpoint, part)
  for part in _parts(rest, size):
    wanted = store.missing(folder, part)
    if wanted.size:
      yield parallel.Begun(wanted, 0, None, ())


def _parts(rows: np.ndarray, size: int) -> list[np.ndarray]:
  return [rows[first : first + size] for first in range(0, len(rows), size)]


def _store(
  folder: Setting,
  finished: list[tuple[np.ndarray, Any]],
) -> None:
  """Moves finished seeds to disk; their checkpoints have done their duty."""
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


def _checkpoint(begun: parallel.Begun) -> checkpoints.Checkpoint:
  count = len(begun.seeds)
  state = jax.tree.map(lambda x: np.asarray(x)[:count], begun.state)
  tree = state, parallel.stacked(begun.records)
  return checkpoints.Checkpoint(begun.seeds, begun.step, tree)


def _begun(
  checkpoint: checkpoints.Checkpoint, rows: np.ndarray
) -> parallel.Begun:
  """Some of its seeds, taken up again."""
  state, records = jax.tree.map(lambda x: x[rows], checkpoint.tree)
  count = jax.tree.leaves(records)[0].shape[1]
  records = tuple(
    jax.tree.map(lambda x, i=i: x[:, i], records) for i in range(count)
  )
  return parallel.Begun(checkpoint.seeds[rows], checkpoint.step, state, records)


def _template(
  trainer: parallel.Trainer,
  root_key: base.Key,
  numbers: dict[str, float],
  data: Any,
) -> Any:
  """What a checkpoint must look like: any number of recorded steps."""
  state = parallel.state_shapes(trainer, root_key, numbers, data)
  record = jax.eval_shape(trainer.record, data, state)
  stack = lambda x: jax.ShapeDtypeStruct(
    (x.shape[0], -1, *x.shape[1:]), x.dtype
  )
  return state, jax.tree.map(stack, record)
