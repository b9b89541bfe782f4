"""The test of the tests: faults planted one at a time, each of which is caught.

A fault is a wrong initializer, the law it was meant to follow, and the check
that must name it. The right ones, from which the faults are made, must pass.
"""

from collections.abc import Callable
import functools
import math
from typing import Any, NamedTuple

from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, initializers, kernels, keys, testing

_GAIN = 1.3
_DENSE = (512, 64)
_CONVOLUTION = (3, 3, 64, 32)
_AXES: kernels.Axes = {'in_axis': -2, 'out_axis': -1}
_MATRIX: kernels.Axes = {}
_STACK: kernels.Axes = {**_AXES, 'batch_axis': 0}
_DISTRIBUTIONS = tuple(kernels.DISTRIBUTIONS)


class Fault(NamedTuple):
  """What is wrong, what it was meant to be, and the check that must see it."""

  initializer: base.Initializer
  law: base.Law
  caught_by: str
  shape: tuple[int, ...] = _DENSE
  axes: kernels.Axes = _MATRIX
  entries: int = 2**16

  def check(self) -> None:
    """Raises AssertionError."""
    testing.check_initializer(
      self.initializer, self.law, self.shape, draws=self.entries, **self.axes
    )


def _law(distribution: str, n_in: int = 512) -> base.Law:
  return base.Law(distribution, _GAIN**2 / n_in)


def _right(distribution: str) -> base.Initializer:
  return initializers.variance_scaling(_GAIN, 'fan_in', distribution)


def _changed(
  initializer: base.Initializer, change: Callable[[base.Array], base.Array]
) -> base.Initializer:
  return lambda key, shape, dtype: change(initializer(key, shape, dtype))


def _independent(distribution: str) -> dict[str, Fault]:
  """Faults that every distribution can have."""
  scaling = functools.partial(
    initializers.variance_scaling, distribution=distribution
  )
  right, law = _right(distribution), _law(distribution)
  std = math.sqrt(law.variance)
  of = lambda change, caught_by, **more: Fault(
    _changed(right, change), law, caught_by, **more
  )
  close = {'entries': testing.ENTRIES}
  return {
    'std doubled': of(lambda w: 2 * w, 'variance'),
    'std 1% high': of(lambda w: 1.01 * w, 'variance', **close),
    'std 1% low': of(lambda w: 0.99 * w, 'variance', **close),
    'all zero': of(lambda w: 0 * w, 'variance'),
    'constant': Fault(initializers.constant(std), law, 'mean'),
    'constant, key': of(lambda w: 0 * w + w[0, 0], 'independence'),
    'mean shifted by half a std': of(lambda w: w + 0.5 * std, 'mean'),
    'mean shifted by 1% of a std': of(
      lambda w: w + 0.01 * std, 'mean', **close
    ),
    'one row for all': of(lambda w: 0 * w + w[:1], 'independence'),
    'one column for all': of(lambda w: 0 * w + w[:, :1], 'independence'),
    'every second column copied to the next': of(
      lambda w: w.at[:, 1::2].set(w[:, ::2]), 'independence'
    ),
    'one entry is NaN': of(lambda w: w.at[3, 4].set(math.nan), 'finite'),
    'absolute values': of(jnp.abs, 'mean'),
    'key ignored': Fault(
      lambda key, shape, dtype: right(keys.root(0), shape, dtype), law, 'keys'
    ),
    'gain ignored': Fault(scaling(1.0), law, 'variance'),
    'gain not squared': Fault(scaling(_GAIN**0.5), law, 'variance'),
    'swapped fans': Fault(
      scaling(_GAIN, in_axis=1, out_axis=0), law, 'variance'
    ),
    'fan_out for fan_in': Fault(scaling(_GAIN, 'fan_out'), law, 'variance'),
    'fan_avg for fan_in': Fault(scaling(_GAIN, 'fan_avg'), law, 'variance'),
    'receptive field ignored': Fault(
      scaling(_GAIN * 3, **_AXES),
      _law(distribution, 9 * 64),
      'variance',
      _CONVOLUTION,
      _AXES,
    ),
    'receptive field as a batch': Fault(
      scaling(_GAIN, **_AXES, batch_axis=(0, 1)),
      _law(distribution, 9 * 64),
      'variance',
      _CONVOLUTION,
      _AXES,
    ),
  }


_FAULTS: dict[str, Fault] = {
  f'{name}: {distribution}': fault
  for distribution in _DISTRIBUTIONS
  for name, fault in _independent(distribution).items()
}
_FAULTS |= {
  f'{drawn} for {meant}': Fault(_right(drawn), _law(meant), 'distribution')
  for drawn in _DISTRIBUTIONS
  for meant in _DISTRIBUTIONS
  if drawn != meant
}


def _lapack_signs(
  key: base.Key, shape: base.Shape, dtype: jax.typing.DTypeLike
) -> base.Array:
  return jnp.linalg.qr(jax.random.normal(key, shape, dtype))[0]


def _rotations(
  key: base.Key, shape: base.Shape, dtype: jax.typing.DTypeLike
) -> base.Array:
  """Uniform in SO(n), of determinant 1."""
  w = initializers.orthogonal()(key, shape, dtype)
  return w.at[:, 0].multiply(jnp.sign(jnp.linalg.det(w)))


def _of_uniform(
  key: base.Key, shape: base.Shape, dtype: jax.typing.DTypeLike
) -> base.Array:
  """The Q of a uniform matrix, with the signs of R's diagonal set right."""
  q, r = jnp.linalg.qr(jax.random.uniform(key, shape, dtype, -1.0, 1.0))
  return q * jnp.sign(jnp.diagonal(r))[None, :]


def _one_for_all(
  key: base.Key, shape: base.Shape, dtype: jax.typing.DTypeLike
) -> base.Array:
  """One orthogonal matrix for a whole stack."""
  one = initializers.orthogonal()(key, shape[1:], dtype)
  return jnp.broadcast_to(one, shape)


def _sparse(
  change_kept: Callable[[base.Array], base.Array],
  change_values: Callable[[base.Array], base.Array],
) -> base.Initializer:
  """15 inputs a unit, one of its two draws changed."""

  def draw(key, shape, dtype):
    kept = jnp.broadcast_to((jnp.arange(shape[0]) < 15)[:, None], shape)
    kept = jax.random.permutation(
      keys.stream(key, 'kept'), kept, axis=0, independent=True
    )
    values = jax.random.normal(keys.stream(key, 'values'), shape, dtype)
    return jnp.where(change_kept(kept), change_values(values), 0)

  return draw


def _ranked(
  key: base.Key, shape: base.Shape, dtype: jax.typing.DTypeLike
) -> base.Array:
  """The 15 values of every unit those of the first, in the same order."""
  w = initializers.sparse()(key, shape, dtype)
  rank = jnp.cumsum(w != 0, axis=0) - 1
  first = w[jnp.nonzero(w[:, 0], size=15)[0], 0]
  return jnp.where(w != 0, first[rank], 0)


def _first_inputs(w: base.Array) -> base.Array:
  """The nonzeros of every unit, moved to the first inputs."""
  order = jnp.argsort(w == 0, axis=0, stable=True)
  return jnp.take_along_axis(w, order, axis=0)


_ORTHOGONAL = base.Law('orthogonal', 1 / 512)
_SPARSE = base.Law('sparse', 15 / 512)
_FIXED = base.Law('fixed', 1 / 512)
_FAULTS |= {
  'uniform without the sqrt 3': Fault(
    initializers.uniform(_GAIN / 512**0.5), _law('uniform'), 'variance'
  ),
  'uniform on [0, a)': Fault(
    _changed(initializers.uniform(math.sqrt(3 * _GAIN**2 / 512)), jnp.abs),
    _law('uniform'),
    'mean',
  ),
  'no truncation correction': Fault(
    initializers.variance_scaling(
      _GAIN * kernels.TRUNCATED_STD, 'fan_in', 'truncated_normal'
    ),
    _law('truncated_normal'),
    'variance',
  ),
  'truncation corrected twice': Fault(
    initializers.variance_scaling(
      _GAIN / kernels.TRUNCATED_STD, 'fan_in', 'truncated_normal'
    ),
    _law('truncated_normal'),
    'variance',
  ),
  'Gaussian for orthogonal': Fault(
    initializers.lecun_normal(), _ORTHOGONAL, 'orthogonality'
  ),
  'orthogonal with the signs of LAPACK': Fault(
    _lapack_signs, base.Law('orthogonal', 1 / 32), 'distribution', (32, 16)
  ),
  'orthogonal, rotations only': Fault(
    _rotations, base.Law('orthogonal', 1 / 32), 'signs', (32, 32)
  ),
  'Q of a uniform matrix': Fault(
    _of_uniform,
    base.Law('orthogonal', 1 / 32),
    'distribution',
    (32, 32),
    entries=2**17,
  ),
  'one orthogonal matrix for a whole stack': Fault(
    _one_for_all,
    base.Law('orthogonal', 1 / 24),
    'independence: along axis 1',
    (4, 16, 24),
    _STACK,
    2**16,
  ),
  'orthogonal, rescaled for the rows': Fault(
    initializers.orthogonal(512**0.5 / 8), _ORTHOGONAL, 'orthogonality'
  ),
  'orthogonal, std 1% off': Fault(
    initializers.orthogonal(1.01), _ORTHOGONAL, 'orthogonality'
  ),
  'orthogonal, key ignored': Fault(
    lambda key, shape, dtype: initializers.orthogonal()(
      keys.root(0), shape, dtype
    ),
    _ORTHOGONAL,
    'keys',
  ),
  'sparse, two weights short': Fault(
    initializers.sparse(13), _SPARSE, 'variance', entries=testing.ENTRIES
  ),
  'sparse, on average only': Fault(
    lambda key, shape, dtype: jnp.where(
      jax.random.bernoulli(keys.stream(key, 'kept'), 15 / 512, shape),
      jax.random.normal(keys.stream(key, 'values'), shape, dtype),
      0,
    ),
    _SPARSE,
    'sparsity',
  ),
  'sparse, the first inputs': Fault(
    _changed(initializers.sparse(), _first_inputs), _SPARSE, 'sparsity'
  ),
  'sparse, the values of a unit copied to the next': Fault(
    _sparse(lambda kept: kept, lambda w: w.at[:, 1::2].set(w[:, ::2])),
    _SPARSE,
    'independence',
    entries=testing.ENTRIES,
  ),
  'sparse, the same values for all units': Fault(
    _ranked, _SPARSE, 'independence'
  ),
  'sparse, the inputs of a unit copied to the next': Fault(
    _sparse(lambda kept: kept.at[:, 1::2].set(kept[:, ::2]), lambda w: w),
    _SPARSE,
    'sparsity',
  ),
  'sparse, all zero': Fault(initializers.zeros(), _SPARSE, 'sparsity'),
  'random for fixed': Fault(initializers.lecun_normal(), _FIXED, 'fixed'),
  'ones for the identity': Fault(initializers.ones(), _FIXED, 'variance'),
}

# Fans that are off by little show where they are small. Of 2^14 entries the
# variance of normal ones has the relative standard error 1.1%.
_SMALL = (7, 9)


def _fans(
  fan: float, meant: float, distribution: str = 'normal', **where: Any
) -> Fault:
  """Var[w] = 1 / fan where 1 / meant is declared."""
  where = {'shape': _SMALL, 'entries': 2**14} | where
  made = _drawn(distribution, 1 / fan)
  return Fault(made, base.Law(distribution, 1 / meant), 'variance', **where)


def _drawn(distribution: str, variance: float) -> base.Initializer:
  make = {
    'uniform': lambda: initializers.uniform(math.sqrt(3 * variance)),
    'normal': lambda: initializers.normal(math.sqrt(variance)),
  }
  return make[distribution]()


def _walk(constant: float, n_in: int = 6) -> float:
  """The fan n_in / g^2 of the random walk, g as in the paper."""
  return n_in / (math.sqrt(2) * math.exp(constant / (n_in - 2.4))) ** 2


def _bias(drawn: base.Initializer, caught_by: str) -> Fault:
  """Biases for U[-1/sqrt(n_in), 1/sqrt(n_in)) of a kernel of (40, 1024)."""
  law = base.Law('uniform', 1 / (3 * 40))
  return Fault(drawn, law, caught_by, (1024,))


_FAULTS |= {
  'fan_out + 1': _fans(10, 9),
  'fan_geo_avg by the integer root': _fans(7, math.sqrt(63)),
  'fan_geo_avg 1% high': _fans(
    1.01 * math.sqrt(15),
    math.sqrt(15),
    'uniform',
    shape=_DENSE,
    entries=testing.ENTRIES,
  ),
  "the random walk's 1.2 as 1.1": _fans(
    _walk(1.1), _walk(1.2), shape=(6, 64), entries=2**17
  ),
  'bias of fan_out': _bias(_drawn('uniform', 1 / (3 * 1024)), 'variance'),
  'bias without the third': _bias(_drawn('uniform', 1 / 40), 'variance'),
  'bias zero': _bias(initializers.zeros(), 'variance'),
  'bias normal': _bias(_drawn('normal', 1 / 120), 'distribution'),
}


class FaultsTest(parameterized.TestCase):
  @parameterized.parameters(*_DISTRIBUTIONS)
  def test_right_ones_pass(self, distribution: str):
    testing.check_initializer(_right(distribution), _law(distribution), _DENSE)
    for dtype in (jnp.bfloat16, jnp.float16):
      w = testing.sample(_right(distribution), _DENSE, testing.ENTRIES, dtype)
      testing.check_low_precision(w, dtype, _law(distribution))
    testing.check_initializer(
      initializers.variance_scaling(_GAIN, 'fan_in', distribution, **_AXES),
      _law(distribution, 9 * 64),
      _CONVOLUTION,
      **_AXES,
    )

  @pytest.mark.slow
  def test_right_structures_pass(self):
    testing.check_initializer(initializers.sparse(), _SPARSE, _DENSE)
    same = lambda x: x
    testing.check_initializer(_sparse(same, same), _SPARSE, _DENSE)
    for shape in (_DENSE, (32, 32)):
      law = base.Law('orthogonal', 1 / max(shape))
      testing.check_initializer(initializers.orthogonal(), law, shape)
    testing.check_initializer(initializers.identity(), _FIXED, _DENSE)

  @parameterized.named_parameters(
    (name.replace(' ', '_'), name) for name in _FAULTS
  )
  def test_fault_is_caught(self, name: str):
    fault = _FAULTS[name]
    with pytest.raises(AssertionError, match=rf'(?m)^{fault.caught_by}'):
      fault.check()

  def test_one_kernel_for_a_whole_stack_is_caught(self):
    right = initializers.lecun_normal()
    stack = lambda key, shape, dtype: jnp.broadcast_to(
      right(key, shape[1:], dtype), shape
    )
    with pytest.raises(AssertionError, match='independence: along axis 1'):
      testing.check_initializer(
        stack, base.Law('normal', 1 / 64), (4, 64, 32), **_STACK
      )

  def test_chance_beside_the_key_is_caught(self):
    generator = np.random.default_rng(0)
    with pytest.raises(AssertionError, match='determinism'):
      testing.check_initializer(
        lambda key, shape, dtype: jnp.asarray(
          generator.standard_normal(shape), dtype
        ),
        base.Law('normal', 1.0),
        _DENSE,
      )

  @parameterized.parameters(*_DISTRIBUTIONS)
  def test_low_precision_faults_are_caught(self, distribution: str):
    right, law = _right(distribution), _law(distribution)
    std = math.sqrt(law.variance)

    def coarse(key, shape, dtype):
      # As many steps as the mantissa has: what a native low-precision uniform
      # draw is made of, before any transformation.
      steps = 2 ** jnp.finfo(dtype).nmant
      wide = right(key, shape, jnp.float32) / (4 * std)
      return (jnp.floor(wide * steps) / steps * 4 * std).astype(dtype)

    def biased(key, shape, dtype):
      # 0.012 std is what native bfloat16 draws are off by, 8.7 standard errors.
      wide = right(key, shape, jnp.float32)
      return (wide - 0.012 * std).astype(dtype)

    def ignored(key, shape, dtype):
      return right(key, shape, jnp.float32)

    for fault, caught_by in (
      (coarse, 'precision'),
      (biased, 'mean'),
      (ignored, 'dtype'),
    ):
      w = testing.sample(fault, _DENSE, testing.ENTRIES, jnp.bfloat16)
      with pytest.raises(AssertionError, match=rf'^{caught_by}'):
        testing.check_low_precision(w, jnp.bfloat16, law)
