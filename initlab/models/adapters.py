"""Models of four frameworks as the two functions that an audit takes.

Each adapter returns `(init, apply)`: `init(key) -> params` and `apply(params,
*batch) -> output`. To audit a loss, write one around apply:

    init, apply = adapters.linen(network, x)
    loss = lambda params, x, y: jnp.mean(jnp.square(apply(params, x) - y))

A framework is imported when its adapter is called, if at all.
"""

from collections.abc import Callable
from typing import Any

import jax

from initlab import base, keys

Functions = tuple[Callable[[base.Key], Any], Callable[..., Any]]


def linen(
  module: Any, *example: Any, rngs: Any = None, **call: Any
) -> Functions:
  """Of a `flax.linen` module; its params are all its variables.

  Args:
    module: the module.
    *example: what it is called with, to see the shapes.
    rngs: keys of what is random in apply, as `{'dropout': key}`.
    **call: keywords of every call, as `train=True`.
  """
  init = lambda key: module.init(key, *example, **call)
  apply = lambda variables, *batch: module.apply(
    variables, *batch, rngs=rngs, mutable=True, **call
  )[0]
  return init, apply


def nnx(make: Callable[[base.Key], Any]) -> Functions:
  """Of a `flax.nnx` module.

  Args:
    make: `key -> module`, as `lambda key: Network(rngs=nnx.Rngs(key))`.
  """
  from flax import nnx

  graph, state = nnx.split(nnx.eval_shape(lambda: make(keys.root(0))))

  def apply(params: Any, *batch: Any) -> Any:
    nnx.replace_by_pure_dict(state, params)
    return nnx.merge(graph, state)(*batch)

  return lambda key: nnx.to_pure_dict(nnx.state(make(key))), apply


def equinox(make: Callable[[base.Key], Any]) -> Functions:
  """Of an Equinox module of one example, which apply maps over a batch.

  Args:
    make: `key -> module`.
  """
  import equinox

  is_shape = lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct)
  shapes = equinox.filter_eval_shape(make, keys.root(0))
  rest = equinox.filter(shapes, is_shape, inverse=True)
  init = lambda key: equinox.filter(make(key), equinox.is_array)
  return init, lambda params, *batch: jax.vmap(equinox.combine(params, rest))(
    *batch
  )


def haiku(transformed: Any, *example: Any) -> Functions:
  """Of what `haiku.transform` or `haiku.transform_with_state` returns.

  Args:
    transformed: the pair of functions; params are `(params, state)` where the
      network has a state.
    *example: what the network is called with, to see the shapes.
  """
  init = lambda key: transformed.init(key, *example)
  if type(transformed).__name__ == 'TransformedWithState':
    return init, lambda both, *batch: transformed.apply(*both, None, *batch)[0]
  return init, lambda params, *batch: transformed.apply(params, None, *batch)
