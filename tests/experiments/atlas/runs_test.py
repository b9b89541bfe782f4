"""What the pages of the atlas measure, and their claims as they run."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.atlas import (
  claims_trainability,
  coordinate_check,
  jacobian_spectrum,
  learning_time,
  log_normal,
  phase_diagram,
  rate_transfer,
  rectifier_depth,
  residual_growth,
  residual_training,
  trainability,
)
from initlab import base, keys
from tests.helpers import atlas, studies, synthetic


def _runs(module, config, seeds):
  """The results of so many seeds."""
  run = lambda seed: module.run(config, keys.at(keys.root(0), seed), None)
  return jax.vmap(run)(jnp.arange(seeds, dtype=jnp.uint32))


@pytest.mark.slow
def test_linear_layers_multiply_variances():
  """chi_1 is sw2 exactly, and q_l = sw2^l on average."""
  config = phase_diagram.Config(
    activation='identity',
    weight_variance=1.5,
    bias_variance=0.0,
    width=64,
    depth=4,
    pairs=1,
  )
  found = _runs(phase_diagram, config, 32)
  np.testing.assert_allclose(found.chi_1, 1.5, rtol=1e-6)
  # A square |s|^2 / n of a layer has relative variance 2 / n, the two inputs of
  # a pair nearly the same one: 32 seeds of 4 layers, at 4 standard errors.
  error = 4 * (2 * 4 / 64 / 32) ** 0.5
  np.testing.assert_allclose(found.variance[:, -1].mean(), 1.5**4, rtol=error)


def test_the_mean_square_length_is_kept():
  found = _runs(log_normal, log_normal.Config(width=16, depth=2), 4000)
  # (1 + 5 / 16)^2 - 1 is the variance of |h|^2, at 4 standard errors.
  error = 4 * ((21 / 16) ** 2 - 1) ** 0.5 / 4000**0.5
  length = jnp.exp(found.log_length[:, -1])
  np.testing.assert_allclose(length.mean(), 1.0, atol=error)
  np.testing.assert_allclose(found.length_square, length**2, rtol=1e-4)


@pytest.mark.slow
def test_singular_values_of_orthogonal_products_are_one():
  config = jacobian_spectrum.Config(activation='identity', width=8, depth=3)
  found = _runs(jacobian_spectrum, config, 2)
  np.testing.assert_allclose(found.singular_values, 1.0, atol=1e-5)
  assert float(found.distance.max()) < 1e-5


@pytest.mark.parametrize('branch', ['skip_init', 'fixup'])
def test_a_branch_of_zero_is_the_identity(branch):
  config = residual_growth.Config(branch=branch, width=8, depth=3)
  found = _runs(residual_growth, config, 2)
  assert not found.difference.any()
  assert not found.jacobian_difference.any()


def test_the_jacobian_is_that_of_the_output():
  config = residual_growth.Config(branch='plain', width=8, depth=3)
  assert (_runs(residual_growth, config, 2).jacobian_difference > 0.1).all()


def test_the_first_step_below_the_target_is_noted():
  config = learning_time.SMOKE
  kept = learning_time.before(config, None, None, None)

  class Moved:
    last_loss = jnp.float32(11.0)

  for step, cost in enumerate((11.0, 9.0, 8.0, 12.0)):
    Moved.last_loss = jnp.float32(cost)
    kept = learning_time.watch(config, None, Moved, None, kept, step)
    expected = np.nan if step == 0 else 1.0
    np.testing.assert_equal(float(kept['learning_time']), expected)


def test_layers_are_drawn_with_the_two_variances():
  config = trainability.Config(
    weight_variance=3.0, bias_variance=0.5, width=60, depth=2
  )
  _, hidden, _ = config.draw(keys.root(0))
  # Of n normal numbers the mean square errs by sqrt(2 / n), at 4 of these.
  square = float(jnp.mean(hidden.w**2)) * 60
  np.testing.assert_allclose(square, 3.0, rtol=4 * (2 / 3600) ** 0.5)
  square = float(jnp.mean(hidden.b**2))
  np.testing.assert_allclose(square, 0.5, rtol=4 * (2 / 60) ** 0.5)


@pytest.mark.parametrize(
  ('accuracy', 'depth'),
  [
    ((0.9, 0.7, 0.3), 20 * 2**0.5),
    ((0.9, np.nan, 0.1), 10 * 2 ** (4 / 9)),
    ((0.8, 0.9, 0.6), 40.0),
    ((0.4, 0.9, 0.1), 10.0),
  ],
)
def test_training_ends_where_the_accuracy_falls_to_a_half(accuracy, depth):
  column = [
    synthetic.outcome(
      'atlas.trainability', {'depth': each}, {'accuracy': np.full(2, share)}
    )
    for each, share in zip((10, 20, 40), accuracy, strict=True)
  ]
  found = claims_trainability.trained_depth(column)
  np.testing.assert_allclose(found, depth, rtol=1e-12)


def test_a_layer_of_rectifiers_halves_what_xavier_carries():
  """Of the square, beside He's: the weights are the same numbers."""
  data = base.Batch(jnp.array([[0.5, -1.0], [1.0, 0.3]]), jnp.array([0, 1]))

  @functools.partial(jax.jit, static_argnums=0)
  def rms(config):
    params = config.draw(keys.root(0))
    return rectifier_depth.before(config, None, params, data)['rms']

  knobs = {'dataset': 'xor', 'widths': (5,), 'depth': 2}
  he, xavier = (
    rms(rectifier_depth.Config(init=init, **knobs))
    for init in (rectifier_depth.HE, rectifier_depth.XAVIER)
  )
  np.testing.assert_allclose(
    xavier / he, 2 ** (-np.arange(1, 4) / 2), rtol=1e-5
  )


@pytest.mark.parametrize('branch', ['plain', 'skip_init', 'fixup'])
def test_blocks_begin_as_the_identity_where_they_should(branch):
  config = residual_training.Config(
    branch=branch, width=4, depth=2, dataset='xor', examples=4
  )
  params = config.draw(keys.root(0))
  x = jnp.array([[0.5, -1.0]])
  found = residual_training.logits(params, x)
  (w_in, _), (w_out, _) = params['input'], params['output']
  # The last layer of Fixup is zero, so what it is given does not show there.
  assert (branch == 'fixup') == (not found.any())
  same = np.allclose(found, x @ w_in @ w_out, rtol=1e-6)
  assert same == (branch != 'plain')


@pytest.mark.slow
def test_the_two_parametrizations_are_one_at_the_base_width():
  draw = jax.jit(lambda config: config.draw(keys.root(0)), static_argnums=0)
  knobs = {'base_width': 4, 'dataset': 'xor', 'depth': 2}
  drawn = {
    (name, width): draw(
      coordinate_check.Config(parametrization=name, width=width, **knobs)
    )
    for name in ('mup', 'standard')
    for width in (4, 16)
  }
  same = [
    np.array_equal(a.w, b.w)
    for a, b in zip(drawn['mup', 4], drawn['standard', 4], strict=True)
  ]
  assert all(same)
  # Four times as wide, muP draws the output with half the size of He's.
  ratio = drawn['mup', 16][-1].w / drawn['standard', 16][-1].w
  np.testing.assert_allclose(ratio, 0.5, rtol=1e-6)
  hidden = drawn['mup', 16][1].w, drawn['standard', 16][1].w
  np.testing.assert_array_equal(*hidden)


def test_slopes_are_exponents_of_the_width():
  settings = atlas.coordinates(power=0.6)[3:]
  found = coordinate_check.slopes(settings)
  np.testing.assert_allclose(found[:, -1], 0.6, atol=1e-12)
  np.testing.assert_allclose(found[:, 0], 0.0, atol=1e-12)


def test_the_best_rate_is_the_vertex_of_a_parabola():
  """The costs are exp of one, with its vertex off the grid of rates."""
  settings = atlas.transfers(mup=0.3)[9:18]
  found = rate_transfer.best_rates(settings)
  np.testing.assert_allclose(found, synthetic.noisy(-7.7), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
  'module',
  [
    jacobian_spectrum,
    learning_time,
    log_normal,
    phase_diagram,
    residual_growth,
  ],
)
def test_every_claim_holds_as_it_runs_by_default(module, tmp_path):
  outcomes = studies.run(module.EXPERIMENT, tmp_path)
  assert set(studies.holds(module.EXPERIMENT, outcomes).values()) == {True}


def test_equal_singular_values_have_no_negative_variance():
  """A difference of moments would be, by a rounding."""
  config = jacobian_spectrum.Config(activation='identity', width=8, depth=3)
  run = jax.jit(lambda key: jacobian_spectrum.run(config, key, None))
  for seed in range(8):
    variance = run(keys.at(keys.root(0), seed)).variance
    assert (np.asarray(variance) >= 0).all()
