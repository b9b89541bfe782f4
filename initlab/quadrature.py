"""Gauss rules of Gaussian averages, split where an activation has kinks."""

import functools
from typing import Any

import numpy as np

from initlab import activations, base

_REACH = 12.0  # standard deviations that an average covers
_LEVELS = 12  # halvings of a piece towards each of its ends


def rule(
  kinks: np.ndarray, mean: np.ndarray, deviation: Any, count: int
) -> tuple[np.ndarray, np.ndarray]:
  """Nodes and weights of E f(mean + deviation z), split where f has kinks.

  Pieces between two kinks are halved towards both, for what is steep there.

  Args:
    kinks: `[K]`.
    mean: `[...]`.
    deviation: `[...]`, or a number.
    count: of nodes in each piece.

  Returns:
    z and weights, `[..., N]` each.
  """
  with np.errstate(divide='ignore', invalid='ignore'):
    breaks = (kinks - mean[..., None]) / np.asarray(deviation)[..., None]
  breaks = np.clip(np.nan_to_num(breaks), -_REACH, _REACH)
  end = np.full((*breaks.shape[:-1], 1), _REACH)
  breaks = np.concatenate([-end, breaks, end], axis=-1)
  low, high = breaks[..., :-1, None], breaks[..., 1:, None]
  halves = 0.5 ** np.arange(_LEVELS, 1, -1)
  share = np.concatenate([[0.0], halves, [0.5], 1 - halves[::-1], [1.0]])
  edges = low + (high - low) * share
  z, weights = activations.gauss_rule(edges[..., :-1], edges[..., 1:], count)
  shape = (*breaks.shape[:-1], -1)
  return z.reshape(shape), weights.reshape(shape)


@functools.cache
def kinks(f: base.Activation) -> np.ndarray:
  """0, and where f' jumps within [-100, 100]: to 1e-12, up to 16 of them.

  Of 200,000 intervals, those over which f' changes most are halved 40 times,
  each time towards the larger change; a change that is left is a jump.
  """
  grid, slopes = activations.slopes_on_grid(f)
  change = np.abs(np.diff(slopes))
  most = np.sort(np.argsort(change)[-16:])
  low, high = grid[most], grid[most + 1]
  for _ in range(40):
    middle = (low + high) / 2
    at = [activations.evaluate(f, each)[1] for each in (low, middle, high)]
    left = np.abs(at[1] - at[0]) > np.abs(at[2] - at[1])
    low, high = np.where(left, low, middle), np.where(left, middle, high)
  jump = np.abs(
    np.subtract(*(activations.evaluate(f, x)[1] for x in (low, high)))
  )
  found = ((low + high) / 2)[jump > 1e-6 * np.abs(slopes).max()]
  # A kink at a node of the grid shows in both of its intervals.
  return np.unique(np.round([0.0, *found], 11))
