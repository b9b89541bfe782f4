"""Redraws of what four frameworks make: the same law in each one's layout."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import keys, testing
from initlab.models import adapters, calibrate, redraw, uses

_X = np.float32(np.random.default_rng(0).standard_normal((4, 6)))


def _linen():
  from flax import linen as nn

  class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.Dense(16)(x)
      x = nn.DenseGeneral((2, 8))(nn.relu(x))
      return nn.DenseGeneral(3, axis=(-2, -1))(nn.tanh(x))

  return adapters.linen(Net(), _X)


def _nnx():
  from flax import nnx

  class Net(nnx.Module):
    def __init__(self, rngs):
      self.first = nnx.Linear(6, 16, rngs=rngs)
      self.last = nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
      return self.last(nnx.relu(self.first(x)))

  return adapters.nnx(lambda key: Net(nnx.Rngs(key)))


def _equinox():
  import equinox as eqx

  return adapters.equinox(lambda key: eqx.nn.MLP(6, 3, 16, 2, key=key))


def _haiku():
  with warnings.catch_warnings():
    # Haiku imports names that JAX has deprecated.
    warnings.simplefilter('ignore', DeprecationWarning)
    import haiku as hk

  def forward(x):
    return hk.Linear(3)(jax.nn.relu(hk.Linear(16)(x)))

  return adapters.haiku(hk.transform(forward), _X)


# Leaf of a kernel -> its axes as the framework's documentation has them.
_KERNELS = {
  _linen: {
    'params/DenseGeneral_0/kernel': {'in_axis': 0, 'out_axis': (1, 2)},
    'params/DenseGeneral_1/kernel': {'in_axis': (0, 1), 'out_axis': 2},
  },
  _nnx: {'first/kernel': {'in_axis': 0, 'out_axis': 1}},
  _equinox: {'layers/0/weight': {'in_axis': 1, 'out_axis': 0}},
  _haiku: {'linear/w': {'in_axis': 0, 'out_axis': 1}},
}


@pytest.mark.slow
@pytest.mark.parametrize('make', _KERNELS)
def test_kernels_are_drawn_and_calibrated_in_every_layout(make):
  init, apply = make()
  params = init(keys.root(0))
  model = uses.trace(apply, params, _X)
  named = {use.name: use for use in model.uses}
  for name, axes in _KERNELS[make].items():
    use = named[name]

    def initializer(key, shape, dtype, use=use):
      del shape, dtype
      new = redraw.redraw(model.uses, params, key, None, {use.name: 'glorot'})
      return jax.tree.leaves(new.params)[use.number]

    testing.check_initializer(
      jax.jit(initializer, static_argnums=(1, 2)),
      'glorot_uniform',
      use.shape,
      draws=2**14,
      **axes,
    )
  found = calibrate.lsuv(model, params, _X)
  assert set(found.drawn) == {u.name for u in model.uses if u.is_kernel}
  # The last kernel's outputs, whose biases are zero in all but Equinox.
  if make is not _equinox:
    assert abs(jnp.std(apply(found.params, _X)) - 1) < 1e-4
