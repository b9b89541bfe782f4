"""Residual recursions against networks, and published scales."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import activations, base, keys, meanfield, residual

_WIDTH, _DEPTH, _SEEDS = 128, 12, 40


def _normalize(x):
  return x / jnp.sqrt(jnp.mean(x**2))


def _relu_branch(key, x):
  """Two matrices with a ReLU between: it keeps the variance, and chi = 1."""
  n = len(x)
  w, v = (
    jax.random.normal(keys.stream(key, name), (n, n)) for name in ('w', 'v')
  )
  return jax.nn.relu(x @ w / n**0.5) @ v * (2 / n) ** 0.5


def _tanh_branch(key, x):
  n = len(x)
  return jnp.tanh(x) @ jax.random.normal(key, (n, n)) / n**0.5


def _measured(block):
  """Means over seeds of q_l, `[L + 1]`, and of a gradient's gain downward."""

  def one(seed):
    key = keys.at(keys.root(0), seed)

    def run(x):
      def step(x, layer):
        after = block(keys.at(keys.stream(key, 'w'), layer), x)
        return after, jnp.mean(after**2)

      layers = jnp.arange(_DEPTH, dtype=jnp.uint32)
      return jax.lax.scan(step, x, layers)

    x = _normalize(jax.random.normal(keys.stream(key, 'x'), (_WIDTH,)))
    _, pull, q = jax.vjp(run, x, has_aux=True)
    top = jax.random.normal(keys.stream(key, 'g'), (_WIDTH,))
    (bottom,) = pull(top)
    return q, jnp.mean(bottom**2) / jnp.mean(top**2)

  many = jax.jit(lambda seeds: jax.lax.map(one, seeds))
  q, gain = many(jnp.arange(_SEEDS, dtype=jnp.uint32))
  return np.append(1.0, q.mean(0)), gain.mean()


def _moments():
  """E tanh^2 and E tanh'^2 at variance 1."""
  return [float(m) for m in activations.moments(jnp.tanh, np.ones(()))[1:]]


@pytest.mark.parametrize(
  'case',
  [
    'pre tanh',
    pytest.param('scaled', marks=pytest.mark.slow),
    pytest.param('post', marks=pytest.mark.slow),
    pytest.param('plain', marks=pytest.mark.slow),
    pytest.param('pre', marks=pytest.mark.slow),
  ],
)
def test_streams_are_what_is_measured(case):
  """Means over 40 networks of 128 units.

  A block moves ln q by b^2 sqrt(2 / n) and more for the ReLU's fourth moment,
  sqrt(5 / n) = 0.2 at most, 12 blocks by 0.7, 40 networks' mean by 0.11, and
  four of these are allowed where the branch has no scale. Normalized streams
  have steps that shrink: a tenth.
  """
  v, chi = _moments()
  b = _DEPTH**-0.5
  block, stream, slack = {
    'plain': (
      lambda key, x: x + _relu_branch(key, x),
      residual.plain(_DEPTH),
      0.45,
    ),
    'scaled': (
      lambda key, x: x + b * _relu_branch(key, x),
      residual.plain(_DEPTH, branch=b),
      0.1,
    ),
    'pre': (
      lambda key, x: x + _relu_branch(key, _normalize(x)),
      residual.pre_normalized(_DEPTH),
      0.1,
    ),
    'pre tanh': (
      lambda key, x: x + _tanh_branch(key, _normalize(x)),
      residual.pre_normalized(_DEPTH, variance=v, slope=chi),
      0.1,
    ),
    'post': (
      lambda key, x: _normalize(x + 1.5 * _tanh_branch(key, x)),
      residual.post_normalized(_DEPTH, branch=1.5, variance=v, slope=chi),
      0.1,
    ),
  }[case]
  q, g = _measured(block)
  np.testing.assert_allclose(np.log(q), np.log(stream.variance), atol=slack)
  np.testing.assert_allclose(np.log(g), np.log(stream.gradient[0]), atol=slack)
  assert np.ptp(np.log(stream.gradient)) > 0.3


def test_growth_in_closed_form():
  doubling = residual.plain(1000).variance
  np.testing.assert_allclose(np.diff(np.log2(doubling)), 1)
  assert residual.plain(100, branch=0.1).variance[-1] == pytest.approx(
    2.7048, abs=5e-5
  )
  still = residual.plain(1000, branch=residual.skip_init(1000))
  assert (still.variance == 1).all() and (still.gradient == 1).all()
  linear = residual.pre_normalized(50)
  np.testing.assert_allclose(linear.variance, np.arange(1, 52))
  np.testing.assert_allclose(linear.gradient, 51 / np.arange(1, 52))
  steep = residual.post_normalized(2, branch=2.0, variance=0.5, slope=1.0)
  np.testing.assert_allclose(steep.gradient, [25 / 9, 5 / 3, 1])
  level = residual.post_normalized(50)
  assert (level.gradient == 1).all()
  halved = residual.plain(4, branch=0.0, skip=0.5**0.5, start=3.0)
  np.testing.assert_allclose(halved.variance, 3 * 0.5 ** np.arange(5))


def test_pairs_in_residual_networks():
  """Of a linear branch 1 - c stays; the ReLU's is Cho & Saul's kernel.

  With sw2 = 2 and b = 1, q doubles, and c' = (c + kernel(c)) / 2.
  """
  path = residual.propagate('identity', 2.0, 0.3, 4, 1.0, 0.0)
  np.testing.assert_allclose(path.c, 0.3, rtol=1e-9)
  np.testing.assert_allclose(path.q, 2.0 ** np.arange(1, 6), rtol=1e-9)
  path = residual.propagate('relu', 1.0, 0.2, 3, 2.0, 0.0)
  c, expected = 0.2, [0.2]
  for _ in range(3):
    kernel = np.sqrt(1 - c**2) + (np.pi - np.arccos(c)) * c
    c = (c + kernel / np.pi) / 2
    expected.append(c)
  np.testing.assert_allclose(path.c, expected, rtol=1e-8)
  # A bias makes examples alike: p and q grow by b^2 sb2.
  path = residual.propagate('identity', 1.0, 0.0, 1, 1.0, 0.5, branch=2.0)
  np.testing.assert_allclose([path.q[1], path.c[1]], [7, 2 / 7], rtol=1e-9)
  assert isinstance(path, meanfield.Path)


def test_published_scales():
  """By hand, from the formulas in the papers' abstracts and rules."""
  assert residual.fixup(100, 2, 1) == pytest.approx(0.1)
  assert residual.fixup(16, 3, 2) == pytest.approx(0.5)
  assert residual.fixup(16, 3, 3) == 0
  assert residual.fixup(16, 1, 1) == 0
  assert residual.skip_init(25, zero=False) == pytest.approx(0.2)
  assert [residual.layer_scale(n) for n in (18, 24, 36)] == [0.1, 1e-5, 1e-6]
  assert residual.depth_power(4) == 0.5 and residual.depth_power(4, 1) == 0.25
  assert residual.gpt2(8) == 0.25
  assert residual.deep_norm(8) == (2.0, pytest.approx(64**-0.25))
  assert residual.t_fixup(9) == pytest.approx(1 / 3)
  assert residual.t_fixup(16, 'encoder') == pytest.approx(0.335)
  assert residual.t_fixup(9, 'embedding') == pytest.approx(1 / 3)
  assert residual.layer_norm_scaling(4) == 0.5


def test_layer_norm_scaling_bounds_the_stream():
  """q_L = 1 + H_L, where Pre-LN alone has 1 + L."""
  q = 1 + sum(residual.layer_norm_scaling(n) ** 2 for n in range(1, 65))
  assert q == pytest.approx(1 + np.log(64) + np.euler_gamma, abs=0.01)


def test_refuses_what_cannot_be():
  for call in (
    lambda: residual.plain(0),
    lambda: residual.fixup(0, 2, 1),
    lambda: residual.t_fixup(0),
  ):
    with pytest.raises(base.UserError, match='depth is at least 1'):
      call()
  with pytest.raises(base.UserError, match='none of index 3'):
    residual.fixup(4, 2, 3)
  with pytest.raises(base.UserError, match="part of a transformer 'head'"):
    residual.t_fixup(4, 'head')
