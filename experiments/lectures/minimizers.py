"""Gradient descent, conjugate gradients and L-BFGS, by evaluation."""

from collections.abc import Callable
import contextlib
from typing import Any

import jax
from jax import flatten_util
import numpy as np

from initlab import base

# Name of a method -> SciPy's name; gradient descent is not SciPy's.
METHODS = {'gd': '', 'cg': 'CG', 'lbfgs': 'L-BFGS-B'}
# The largest entry of a gradient that counts as zero, SciPy's own default.
ZERO = 1e-5


class _Spent(Exception):
  """There are no evaluations left."""


def vector(params: Any) -> tuple[base.Array, Callable[[base.Array], Any]]:
  """Parameters as one `[P]` vector of float64, and what restores them."""
  doubles = jax.tree.map(lambda leaf: leaf.astype(float), params)
  return flatten_util.ravel_pytree(doubles)


def path(
  method: str,
  evaluate: Callable[[np.ndarray], tuple[base.Array, base.Array]],
  start: np.ndarray,
  evaluations: int,
  learning_rate: float,
) -> np.ndarray:
  """Loss and gradient at every evaluation of a method.

  Args:
    method: a key of METHODS.
    evaluate: `[P] -> ([], [P])`, a loss and its gradient.
    start: `[P]`.
    evaluations: the most evaluations.
    learning_rate: of gradient descent.

  Returns:
    `[2, n]` the loss and the largest entry of its gradient, evaluation by
    evaluation; SciPy's methods end at a gradient of zero.
  """
  from scipy import optimize

  found = []

  def recorded(x: np.ndarray) -> tuple[float, np.ndarray]:
    if len(found) == evaluations:
      raise _Spent
    loss, gradient = map(np.asarray, evaluate(x))
    found.append((loss, np.abs(gradient).max()))
    return float(loss), gradient

  with contextlib.suppress(_Spent):
    while method == 'gd':
      start = start - learning_rate * recorded(start)[1]
    options = {'gtol': ZERO / 2, 'maxiter': 10 * evaluations}
    if method == 'lbfgs':
      options |= {'ftol': 0.0, 'maxfun': 10 * evaluations}
    optimize.minimize(
      recorded, start, jac=True, method=METHODS[method], options=options
    )
  return np.array(found).T
