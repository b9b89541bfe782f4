"""The statements of the paper: each holds of what it says, and can fail.

Outcomes are made of the theory itself and a little noise; a doctored one, in
which the statement is false, must be refuted. Real runs are slow tests.
"""

import dataclasses
import re

import numpy as np
import pytest

from experiments import equations, jacobian, samples, surface, variance
from initlab import base, claims, equation_claims, glorot2010, launch

_SEEDS = 40


def _noisy(values, size=0.02):
  """`[S, ...]`: a seed's noise has mean 0 and leaves the intervals narrow."""
  values = np.asarray(values, float)
  random = np.random.default_rng(0)
  noise = random.normal(0, size, (_SEEDS, *values.shape))
  return values * (1 + noise - noise.mean(0))


def _found(stated, name, outcomes):
  (claim,) = (each for each in stated if each.name == name)
  return claim.check(outcomes).holds


def _changed(outcomes, field, change, **knobs):
  """The outcomes with one field doctored, where the knobs are these."""
  chosen = claims.every(outcomes, **knobs)
  return [
    each._replace(
      measured={**each.measured, field: change(each.measured[field])}
    )
    if each in chosen
    else each
    for each in outcomes
  ]


def _outcome(config, measured, predicted):
  return base.Outcome(config, '', np.arange(_SEEDS), measured, predicted)


# Equations.


def _equation_outcome(config):
  predicted = equations.predict(config, None)
  measured = {name: _noisy(values) for name, values in predicted.items()}
  layers = config.depth
  measured['slope_square'] = np.ones((_SEEDS, layers)) - 1e-5
  if config.activation == 'sigmoid':
    slope = np.append(np.full(layers - 1, 1 / 17), 1.0)
    measured['slope_square'] = np.tile(slope, (_SEEDS, 1))
    measured['activation_variance'] = _noisy(np.full(layers, 0.25))
    lost = np.cumprod(slope[::-1])[::-1]
    measured['gradient_variance'] = _noisy(
      predicted['gradient_variance'] * lost
    )
  measured['chain_error'] = measured['product_error'] = np.full(
    (_SEEDS, layers), 1e-7
  )
  return _outcome(config, measured, predicted)


@pytest.fixture(scope='module')
def equation_run():
  return [
    _equation_outcome(equations.Config(init=init, activation=f, shape=shape))
    for init in ('standard', 'glorot')
    for f in ('tanh', 'sigmoid')
    for shape in ('equal', 'unequal')
  ]


def _slanted(values):
  return values * 1.5 ** np.arange(values.shape[-1])


_REFUTED = {
  'eq. 2': ('chain_error', lambda x: x + 0.1, {}),
  'eq. 3': ('product_error', lambda x: x + 0.1, {}),
  'eq. 4': ('slope_square', lambda x: 0.9 * x, {'activation': 'tanh'}),
  'eq. 5': ('activation_variance', _slanted, {'activation': 'tanh'}),
  'eq. 6': ('gradient_variance', _slanted, {'activation': 'tanh'}),
  'eq. 7': ('weight_gradient_variance', _slanted, {'activation': 'tanh'}),
  'eqs. 8 to 11': ('gradient_variance', _slanted, {'init': 'glorot'}),
  'eqs. 12, 16': ('forward_factor', lambda x: 1.1 * x, {'init': 'glorot'}),
  'eqs. 13, 15': ('gradient_variance', _slanted, {'init': 'standard'}),
  'eq. 14': ('weight_gradient_variance', _slanted, {'activation': 'tanh'}),
  'sigmoid, up': (
    'activation_variance',
    lambda x: 0 * x + 1e-6,
    {'activation': 'sigmoid'},
  ),
  'sigmoid, down': (
    'slope_square',
    lambda x: 0 * x + 1.0,
    {'activation': 'sigmoid'},
  ),
}


@pytest.mark.parametrize('name', _REFUTED)
def test_an_equation_holds_and_its_doctored_run_does_not(equation_run, name):
  field, change, knobs = _REFUTED[name]
  assert _found(equation_claims.EQUATIONS, name, equation_run) is True
  doctored = _changed(equation_run, field, change, **knobs)
  assert _found(equation_claims.EQUATIONS, name, doctored) is False


def test_every_claim_about_equations_is_tested_here():
  assert [each.name for each in equation_claims.EQUATIONS] == list(_REFUTED)


@pytest.mark.parametrize(
  ('name', 'field'),
  [('eq. 6', 'gradient_variance'), ('eq. 7', 'weight_gradient_variance')],
)
def test_a_run_that_follows_the_printed_limits_is_refuted(
  equation_run, name, field
):
  printed = []
  for each in equation_run:
    extra = each.predicted['backward_factor']
    extra = extra / extra[-1] if name == 'eq. 7' else extra
    values = {**each.measured, field: each.measured[field] * extra}
    printed.append(each._replace(measured=values))
  assert _found(equation_claims.EQUATIONS, name, printed) is False


def test_what_a_run_cannot_tell_is_open(equation_run):
  """Large inputs, no equal widths, one seed."""
  large = [
    _equation_outcome(dataclasses.replace(each.config, scale=1.0))
    for each in equation_run
  ]
  unequal = claims.every(equation_run, shape='unequal')
  single = [
    each._replace(measured={k: v[:1] for k, v in each.measured.items()})
    for each in equation_run
  ]
  for name, outcomes in (
    ('eq. 5', large),
    ('eq. 14', unequal),
    ('eq. 6', single),
    ('sigmoid, up', claims.every(equation_run, activation='tanh')),
    ('eq. 2', [each._replace(predicted={}) for each in equation_run]),
  ):
    (claim,) = (c for c in equation_claims.EQUATIONS if c.name == name)
    (finding,) = claims.findings([claim], outcomes)
    assert finding.holds is None, name


# The layer Jacobian.


@pytest.fixture(scope='module')
def jacobian_run():
  means = {
    ('standard', 'identity'): (0.4901, 0.5774, 0.3502),
    ('glorot', 'identity'): (0.8488, 1.0, 0.6065),
    ('standard', 'tanh'): (0.486, 0.573, 0.347),
    ('glorot', 'tanh'): (0.764, 0.907, 0.537),
  }
  return [
    _outcome(
      jacobian.Config(init=init, activation=f),
      {
        name: _noisy(np.full(6, value), 0.002)
        for name, value in zip(jacobian.Result._fields, three, strict=True)
      },
      {},
    )
    for (init, f), three in means.items()
  ]


@pytest.mark.parametrize(
  ('name', 'field', 'knobs', 'factor'),
  [
    ('eq. 17, normalized', 'mean_singular_value', {'init': 'glorot'}, 1.2),
    ('eq. 17, standard', 'mean_singular_value', {'init': 'standard'}, 1.2),
    ('eq. 17, which mean', 'rms', {}, 0.89),
    ('quarter circle', 'geometric_mean', {'activation': 'identity'}, 1.1),
  ],
)
def test_the_jacobian(jacobian_run, name, field, knobs, factor):
  assert _found(glorot2010.JACOBIAN, name, jacobian_run) is True
  doctored = _changed(jacobian_run, field, lambda x: factor * x, **knobs)
  assert _found(glorot2010.JACOBIAN, name, doctored) is False


def test_square_layers_lead_from_one_hidden_layer_to_another():
  found = glorot2010.square_layers((9, 9, 9, 7, 7, 7))
  assert found.tolist() == [False, True, False, True, False]
  assert glorot2010.square_layers((9, 9)).tolist() == [False]


# Histograms.


@pytest.fixture(scope='module')
def histogram_run():
  layer, random = np.arange(6), np.random.default_rng(1)
  found = []
  for init, up, down in (('standard', 0.57, 0.56), ('glorot', 0.88, 0.88)):
    stds, gradients = 0.4 * up**layer, 0.1 * down ** (5 - layer)
    sample = random.normal(0, stds[:, None], (_SEEDS, 6, 400))
    measured = {
      'activation_std': _noisy(stds),
      'gradient_std': _noisy(gradients),
      'weight_gradient_std': _noisy(np.full(6, 0.01)),
      'activation_sample': sample,
    }
    found.append(_outcome(variance.Config(init=init), measured, {}))
  return found


@pytest.mark.parametrize(
  ('name', 'field', 'knobs', 'change'),
  [
    (
      'figure 6, standard',
      'activation_sample',
      {'init': 'standard'},
      lambda x: x[:, ::-1],
    ),
    ('figure 6, normalized', 'activation_std', {}, _slanted),
    ('figure 7, standard', 'gradient_std', {}, lambda x: x[:, ::-1]),
    ('figure 7, normalized', 'gradient_std', {}, _slanted),
    ('figure 8', 'weight_gradient_std', {'init': 'standard'}, _slanted),
  ],
)
def test_the_histograms(histogram_run, name, field, knobs, change):
  assert _found(glorot2010.HISTOGRAMS, name, histogram_run) is True
  doctored = _changed(histogram_run, field, change, **knobs)
  assert _found(glorot2010.HISTOGRAMS, name, doctored) is False


# Samples and surfaces.


@pytest.fixture(scope='module')
def sample_run():
  config = samples.Config()
  predicted = samples.predict(config, None)
  share = np.repeat([1 / 6, 1 / 9, 1 / 18], 3)
  measured = {name: _noisy(values) for name, values in predicted.items()}
  measured['class_share'] = _noisy(share)
  return [_outcome(config, measured, predicted)]


@pytest.mark.parametrize(
  ('name', 'field', 'change'),
  [
    ('classes', 'class_share', lambda x: 0.1 * x + 0.9 / 9),
    ('mean grey', 'pixel_mean', lambda x: -x),
    ('mean square grey', 'pixel_square', lambda x: 0.9 * x),
  ],
)
def test_the_samples(sample_run, name, field, change):
  assert _found(samples.CLAIMS, name, sample_run) is True
  doctored = _changed(sample_run, field, change)
  assert _found(samples.CLAIMS, name, doctored) is False


def test_the_moments_of_a_pixel_are_those_of_the_rules():
  """Two ranges of greys, each as likely: (57 + 197.5) / 2 on average."""
  found = samples.predict(samples.Config(), None)
  assert found['pixel_mean'] == pytest.approx(2 * 127.25 / 255 - 1, rel=1e-12)
  assert found['pixel_square'] == pytest.approx(0.371965, abs=5e-7)


@pytest.fixture(scope='module')
def surface_run():
  found = []
  for loss, size in (('cross_entropy', 1.0), ('quadratic', 2.0)):
    measured = {
      'flat_share': _noisy(0.2 * size),
      'plateau_share': _noisy(0.1 * size),
      'cost': _noisy(np.full(25, 1 / size)),
    }
    found.append(_outcome(surface.Config(loss=loss), measured, {}))
  return found


@pytest.mark.parametrize(
  ('name', 'field'),
  [('figure 5, plateaus', 'plateau_share'), ('figure 5, order', 'cost')],
)
def test_the_surfaces(surface_run, name, field):
  assert _found(surface.CLAIMS, name, surface_run) is True
  other = {'cost': 'quadratic', 'plateau_share': 'cross_entropy'}[field]
  doctored = _changed(surface_run, field, lambda x: 5 * x, loss=other)
  assert _found(surface.CLAIMS, name, doctored) is False


# Real runs.


@pytest.mark.slow
@pytest.mark.parametrize('module', [equations, jacobian, samples, surface])
def test_every_claim_holds_on_the_default_run(module, tmp_path, capsys):
  argv = [module.EXPERIMENT.name, f'--out={tmp_path}', '--compile_cache=none']
  with pytest.raises(SystemExit) as exit_:
    launch.main(module.EXPERIMENT, argv)
  assert exit_.value.code == 0
  found = capsys.readouterr().out
  marks = re.findall(r'^  (pass|fail|not tested) ', found, re.M)
  assert marks == ['pass'] * len(module.EXPERIMENT.claims), found
