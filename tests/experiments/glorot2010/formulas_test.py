"""Equations 1 to 17, each against simulation in the regime that it assumes.

The widths differ from layer to layer, so that an index that slips shows.
"""

import functools
import itertools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.glorot2010 import formulas
from initlab import activations, base, initializers, keys, mlp, theory

_WIDTHS = (30, 50, 20, 40, 25)
_NETWORKS = 2000
_X, _TOP = 0.25, 4.0  # variances of the input and of the top gradient


def _uniform(random, shape, bound):
  return random.uniform(-bound, bound, shape)


def _simulated(bound):
  """Mean squares of linear networks, `[N, L]` each: z, dC/ds and dC/dW."""
  random = np.random.default_rng(0)
  z = random.normal(0, _X**0.5, (_NETWORKS, 1, _WIDTHS[0]))
  weights = [
    _uniform(random, (_NETWORKS, *shape), bound(*shape))
    for shape in itertools.pairwise(_WIDTHS)
  ]
  post = [z]
  for w in weights:
    post.append(post[-1] @ w)
  top = random.normal(0, _TOP**0.5, (_NETWORKS, 1, _WIDTHS[-1]))
  gradients = [top]
  for w in weights[:0:-1]:
    gradients.append(gradients[-1] @ w.transpose(0, 2, 1))
  gradients = gradients[::-1]
  square = lambda arrays: np.stack([(a**2).mean((1, 2)) for a in arrays], 1)
  products = square(post[:-1]) * square(gradients)
  return square(post[1:]), square(gradients), products


@pytest.fixture(scope='module', params=['standard', 'normalized'])
def simulated(request):
  bounds = {
    'standard': lambda n_in, n_out: formulas.standard_bound(n_in),
    'normalized': formulas.normalized_bound,
  }
  bound = bounds[request.param]
  variances = [bound(*s) ** 2 / 3 for s in itertools.pairwise(_WIDTHS)]
  return _simulated(bound), variances


def _off(samples, expected):
  """Standard errors between a mean over networks and what it should be."""
  error = samples.std(0, ddof=1) / len(samples) ** 0.5
  return np.abs(samples.mean(0) - expected) / error


@pytest.mark.parametrize('which', [5, 6, 7])
def test_variances_of_a_linear_network(simulated, which):
  """The expectation is exact at any width: within 5 standard errors.

  2,000 networks make those 2% to 3%, and the printed forms are off by factors.
  """
  samples, variances = simulated
  said = {
    5: formulas.activation_variance(_WIDTHS, variances, _X),
    6: formulas.gradient_variance(_WIDTHS, variances, _TOP),
    7: formulas.weight_gradient_variance(_WIDTHS, variances, _X, _TOP),
  }[which]
  assert (_off(samples[which - 5], said) < 5).all()


def test_the_printed_limits_are_refuted(simulated):
  (_, gradients, products), variances = simulated
  factors = formulas.backward_factors(_WIDTHS, variances)
  gradient = formulas.gradient_variance(_WIDTHS, variances, _TOP)
  product = formulas.weight_gradient_variance(_WIDTHS, variances, _X, _TOP)
  assert _off(gradients, gradient * factors).max() > 10
  assert _off(products, product * factors / factors[-1]).max() > 5


def test_equal_widths_are_the_case_of_equations_13_and_14():
  widths, variances = (60,) * 5, [formulas.standard_bound(60) ** 2 / 3] * 4
  third = formulas.standard_factor(60)
  np.testing.assert_allclose(third, 1 / 3, rtol=1e-15)
  np.testing.assert_allclose(
    formulas.equal_gradient_variance(third, 4, _TOP),
    formulas.gradient_variance(widths, variances, _TOP),
    rtol=1e-14,
  )
  np.testing.assert_allclose(
    formulas.equal_weight_gradient_variance(third, 4, _X, _TOP),
    formulas.weight_gradient_variance(widths, variances, _X, _TOP),
    rtol=1e-14,
  )


@functools.partial(jax.jit, static_argnums=0)
def _by_hand_and_by_autodiff(activation):
  widths = (7, 12, 5, 9)
  params = mlp.init(keys.root(0), widths, initializers.SCHEMES['he'].make())
  x = jax.random.normal(keys.root(1), (4, 7))
  u = jax.random.normal(keys.root(2), (4, 9))
  cost = lambda s, u: jnp.sum(s * u)
  seen = mlp.signals(params, base.Batch(x, u), activation, cost)
  total = lambda params: jnp.sum(mlp.apply(params, x, activation) * u)
  slope = activations.derivative(activation)
  hand = [
    formulas.backpropagated(layer.w, slope(s), gradient)
    for layer, s, gradient in zip(
      params[1:], seen.pre[:-1], seen.gradient[1:], strict=True
    )
  ]
  below = [x, *seen.post[:-1]]
  products = list(map(formulas.weight_gradient, below, seen.gradient))
  exact = [layer.w for layer in jax.grad(total)(params)]
  return (hand, products), (list(seen.gradient[:-1]), exact)


@pytest.mark.parametrize('activation', [jnp.tanh, jax.nn.sigmoid])
def test_equations_2_and_3_are_autodiff_for_any_activation(activation):
  """Exact but for rounding: sums of up to 12 terms, so 12 eps of relative."""
  hand, exact = _by_hand_and_by_autodiff(activation)
  chex.assert_trees_all_close(hand, exact, rtol=1e-5, atol=1e-6)


def test_equation_4_holds_for_small_signals_of_tanh_alone():
  q = np.array([1e-4, 1e-3, 1e-2])
  found = formulas.slope_square(jnp.tanh, q)
  # The next term of 1 - 2 q + ... is 17 q^2 / 3 x 3 / 3: below 10 q^2.
  assert (np.abs(found - (1 - 2 * q)) < 10 * q**2).all()
  assert (formulas.slope_square(jax.nn.sigmoid, q) <= 1 / 16).all()


def test_the_goals_and_the_compromise_between_them():
  """Equations 8 to 12 and 16."""
  n = 30, 50
  assert formulas.forward_factors(
    n, [formulas.forward_variance(*n)]
  ) == pytest.approx(1)
  assert formulas.backward_factors(
    n, [formulas.backward_variance(*n)]
  ) == pytest.approx(1)
  middle = formulas.compromise_variance(*n)
  assert formulas.normalized_bound(*n) ** 2 / 3 == pytest.approx(middle)
  both = formulas.forward_factors(n, [middle])
  both += formulas.backward_factors(n, [middle])
  assert both == pytest.approx(2)
  for name, bound in (
    ('standard', formulas.standard_bound(30)),
    ('glorot', formulas.normalized_bound(*n)),
  ):
    law = initializers.SCHEMES[name].law(*n)
    assert law.variance == pytest.approx(bound**2 / 3)


def test_equation_17_is_the_jacobian():
  layer = base.Layer(
    jax.random.normal(keys.root(3), (4, 3)), jnp.asarray([0.1, -0.2, 0.3])
  )
  up = lambda z: jnp.tanh(z @ layer.w + layer.b)
  z = jnp.asarray([0.5, -1.0, 0.3, 0.9])
  slope = 1 - up(z) ** 2
  found = formulas.layer_jacobian(layer.w, slope)
  chex.assert_trees_all_close(found, jax.jacobian(up)(z), rtol=1e-5)


def test_the_quarter_circle_has_those_means():
  """By the midpoint rule; its error is below 1e-5 but for log x at 0."""
  x = (np.arange(10**6) + 0.5) * 2e-6
  density = np.sqrt(4 - x**2) / np.pi * 2e-6
  for found, said in (
    (density @ x, theory.ARITHMETIC_MEAN),
    ((density @ x**2) ** 0.5, theory.RMS),
    (np.exp(density @ np.log(x)), theory.GEOMETRIC_MEAN),
  ):
    np.testing.assert_allclose(found, said, rtol=1e-5)


def test_every_equation_is_there_under_its_number():
  assert list(formulas.EQUATIONS) == list(range(1, 18))
  for number, function in formulas.EQUATIONS.items():
    assert re.match(rf'Eq\. {number}\b', function.__doc__), number
