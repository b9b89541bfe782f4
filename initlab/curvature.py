"""Learning rates of their own for all parameters, by their curvature.

    w_k <- w_k - rate g_k / (|h_k| + DAMPING),  h_k = d^2 C / d w_k^2

as the stochastic diagonal Levenberg-Marquardt method of LeCun, Bottou, Orr &
Mueller, Efficient BackProp, 1998, section 9.1, which Glorot & Bengio (2010)
tried on networks with standard weights. There h_k comes from back-propagated
second derivatives of a Gauss-Newton approximation, here from products of the
Hessian H with random signs v: v_k (H v)_k has the mean h_k (Hutchinson, 1989),
and is averaged over the steps.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from initlab import base, keys

DAMPING = 1e-4  # the largest factor of the rate is its inverse
_DECAY = 0.99  # of the average, a product
_EVERY = 10  # steps from one product to the next


class State(NamedTuple):
  """What is known of the curvature.

  count: `[]` int32, steps.
  average: of v (H v), like the parameters; not yet corrected for its start.
  """

  count: base.Array
  average: Any


def scale_by_diagonal() -> optax.GradientTransformationExtraArgs:
  """Divides a gradient by |h| + DAMPING; `update` wants `value_fn`.

  The signs of a step are the same for every seed.
  """

  def init(params: Any) -> State:
    return State(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

  def update(
    updates: Any, state: Any, params: Any = None, **extra: Any
  ) -> tuple[Any, State]:
    value_fn = extra['value_fn']
    products = state.count // _EVERY
    average = jax.lax.cond(
      state.count % _EVERY == 0,
      lambda: _averaged(state.average, value_fn, params, products),
      lambda: state.average,
    )
    share = 1 - _DECAY ** (products + 1).astype(float)
    scaled = jax.tree.map(
      lambda g, h: g / (jnp.abs(h) / share + DAMPING), updates, average
    )
    return scaled, State(state.count + 1, average)

  return optax.GradientTransformationExtraArgs(init, update)


def product(value_fn: Any, params: Any, key: base.Key) -> Any:
  """v (H v) for random signs v, of mean diag H, like the parameters.

  Args:
    value_fn: `params -> []`, the cost.
    params: where.
    key: of the signs; it is consumed.
  """
  leaves, form = jax.tree.flatten(params)
  signs = form.unflatten(
    jax.random.rademacher(keys.at(key, index), leaf.shape, leaf.dtype)
    for index, leaf in enumerate(leaves)
  )
  _, turned = jax.jvp(jax.grad(value_fn), (params,), (signs,))
  return jax.tree.map(jnp.multiply, signs, turned)


def _averaged(
  average: Any, value_fn: Any, params: Any, products: base.Array
) -> Any:
  key = keys.at(
    keys.stream(keys.root(0), 'curvature'), products.astype(jnp.uint32)
  )
  return jax.tree.map(
    lambda old, new: _DECAY * old + (1 - _DECAY) * new,
    average,
    product(value_fn, params, key),
  )
