"""How workers share the seeds of a study."""

from typing import NamedTuple

import numpy as np


class Worker(NamedTuple):
  """One of `count` workers that share the seeds, 0 <= index < count."""

  index: int
  count: int


def share(seeds: np.ndarray, block: int, worker: Worker) -> np.ndarray:
  """The seeds of one worker; a deterministic partition of all seeds.

  Blocks are assigned round-robin, so that no two workers write the same file.
  If the largest share would then exceed an even one by a quarter, seeds are
  split evenly instead. Workers that share a file write more slowly, and a seed
  lost in a race for it is computed again.

  Args:
    seeds: `[S]` ascending, of all workers.
    block: seeds per file.
    worker: which worker.

  Returns:
    `[n]` ascending; may be empty.

  Examples:
    >>> share(np.arange(8), 2, Worker(1, 2))
    array([2, 3, 6, 7])
    >>> share(np.arange(8), 64, Worker(1, 2))
    array([4, 5, 6, 7])
  """
  blocks, sizes = np.unique(seeds // block, return_counts=True)
  shares = [sizes[first :: worker.count].sum() for first in range(worker.count)]
  if max(shares) * worker.count <= 1.25 * len(seeds):
    mine = blocks[worker.index :: worker.count]
    return seeds[np.isin(seeds // block, mine)]
  return np.array_split(seeds, worker.count)[worker.index]
