"""Linear and logistic regression on data whose true weights are known.

The inputs are x, z and 1, with x and z uniform and of variance one; the output
is s = w . (x, z, 1). The targets of linear regression are s + U(-1, 1), those
of logistic regression are 1 with probability sigmoid(s), else 0.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, initializers, keys

_TRUTH = (2.0, -3.0, 5.0)
_STEPS = 20  # of Newton's method; near the minimum each doubles correct digits


class Regression(NamedTuple):
  """A model of one output, linear in its weights.

  scale: what (2, -3, 5) is multiplied by in the true weights.
  target: `(key, s) -> target`, drawn given the true output s.
  loss: `(s, target) -> []` of one example.
  empty: `target -> []` the loss at an output of zero, in closed form.
  variance: c, where the estimated weights have the covariance c (N H)^-1, with
    H the Hessian of the mean loss of N examples.
  """

  scale: float
  target: Callable[[base.Key, base.Array], base.Array]
  loss: Callable[[base.Array, base.Array], base.Array]
  empty: Callable[[base.Array], base.Array]
  variance: float

  def truth(self) -> base.Array:
    """The `[3]` true weights of x, z and 1."""
    return self.scale * jnp.asarray(_TRUTH, float)

  def examples(self, key: base.Key, count: int) -> base.Batch:
    """`[N, 3]` inputs and `[N]` targets; the key is consumed."""
    uniform = initializers.uniform(3**0.5)
    x = uniform(keys.stream(key, 'x'), (count, 2), jnp.float32)
    x = jnp.concatenate([x, jnp.ones_like(x[:, :1])], 1).astype(float)
    return base.Batch(x, self.target(keys.stream(key, 'y'), x @ self.truth()))

  def mean_loss(self, weights: base.Array, batch: base.Batch) -> base.Array:
    """`[]`, of `[3]` weights."""
    return jnp.mean(self.loss(batch.x @ weights, batch.y))

  def minimum(self, batch: base.Batch) -> base.Array:
    """The `[3]` weights of least mean loss, by Newton's method from zeros."""

    def step(index: int, weights: base.Array) -> base.Array:
      del index
      hessian = jax.hessian(self.mean_loss)(weights, batch)
      slope = jax.grad(self.mean_loss)(weights, batch)
      return weights - jnp.linalg.solve(hessian, slope)

    return jax.lax.fori_loop(0, _STEPS, step, jnp.zeros(len(_TRUTH), float))

  def distance(
    self, weights: base.Array, minimum: base.Array, batch: base.Batch
  ) -> base.Array:
    """Squared distance `[]` from the true weights, in standard errors.

    Of the weights of least loss it is, for many examples, a chi square of 3
    degrees of freedom.

    Args:
      weights: `[3]`.
      minimum: `[3]` weights of least mean loss, at which H is taken.
      batch: `N` examples.
    """
    off = weights - self.truth()
    hessian = jax.hessian(self.mean_loss)(minimum, batch)
    return len(batch.x) * (off @ hessian @ off) / self.variance


MODELS = {
  'linear': Regression(
    scale=1.0,
    target=lambda key, s: s + jax.random.uniform(key, s.shape, s.dtype, -1, 1),
    loss=lambda s, y: (s - y) ** 2 / 2,
    empty=lambda y: y**2 / 2,
    variance=1 / 3,
  ),
  'logistic': Regression(
    scale=0.25,
    target=lambda key, s: (
      jax.random.uniform(key, s.shape, s.dtype) < jax.nn.sigmoid(s)
    ).astype(s.dtype),
    loss=lambda s, y: jax.nn.softplus(s) - y * s,
    empty=lambda y: jnp.full_like(y, np.log(2)),
    variance=1.0,
  ),
}
