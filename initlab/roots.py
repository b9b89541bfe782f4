"""Zeros of elementwise functions, by bisection."""

from collections.abc import Callable

import numpy as np


def bisect(
  rising: Callable[[np.ndarray], np.ndarray],
  low: np.ndarray,
  high: np.ndarray,
  halvings: int = 50,
) -> np.ndarray:
  """Zeros of an elementwise rising function, to 2^-halvings of the bracket.

  Args:
    rising: `[N] -> [N]`, below zero before its zero.
    low, high: `[N]` ends of brackets.
    halvings: of a bracket.

  Returns:
    `[N]` middles of the last brackets.

  Examples:
    >>> root = bisect(lambda x: x**2 - 2, np.array(0.0), np.array(2.0))
    >>> abs(float(root) - 2**0.5) < 2**-49
    True
  """
  for _ in range(halvings):
    middle = (low + high) / 2
    below = rising(middle) < 0
    low, high = np.where(below, middle, low), np.where(below, high, middle)
  return (low + high) / 2
