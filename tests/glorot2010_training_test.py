"""The paper's statements about training: each can hold, and each can fail."""

import dataclasses
import itertools

import numpy as np
import pytest

from experiments import learning, paper
from initlab import base, claims, launch
from initlab import glorot2010_training as statements

_SEEDS = 10
_RATES = (0.001, 0.01, 0.1, 1.0)


def _outcome(
  row='Tanh', rate=0.1, steps=(0, 6000), widths=(8,) * 5, **measured
):
  """One setting; what is measured is the same for all seeds, but for 1%."""
  activation, init = statements.ROWS[row]
  rng = np.random.default_rng(0)
  noise = lambda x: (
    np.asarray(x) * (1 + 0.01 * rng.standard_normal((_SEEDS, *np.shape(x))))
  )
  return base.Outcome(
    config=dataclasses.replace(
      learning.Config(dataset='shapeset', test_size=1000),
      activation=activation,
      init=init,
      learning_rate=rate,
      widths=widths,
    ),
    label=f'{row}, learning_rate {rate}',
    seeds=np.arange(_SEEDS),
    measured={name: noise(value) for name, value in measured.items()},
    predicted={},
    steps=steps,
  )


def _study(errors=None, costs=None, rates=_RATES, steps=(0, 6000)):
  """All rows at some rates, of which 0.1 is the best."""
  errors = {'Tanh': 0.82, 'Sigmoid': 0.83} | (errors or {})
  costs = {'Tanh': 2.12, 'Sigmoid': 2.12} | (costs or {})
  return [
    _outcome(
      row,
      rate,
      steps,
      final_valid_error=errors.get(row, 0.7) + 0.1 * (rate != 0.1),
      final_error=errors.get(row, 0.7) + 0.1 * (rate != 0.1),
      final_cost=costs.get(row, 1.7),
      error=[0.9, errors.get(row, 0.7)],
    )
    for row, rate in itertools.product(statements.ROWS, rates)
  ]


def _curves(values, steps=(0, 6000), **knobs):
  """`[T, hidden]` of a field, with an output layer added."""
  padded = {k: np.pad(v, ((0, 0), (0, 1))) for k, v in values.items()}
  return _outcome(steps=steps, **knobs, **padded, final_cost=1.5)


def _stuck(outcome):
  """The same on the plateau."""
  costs = np.full(_SEEDS, 2.12)
  return outcome._replace(measured={**outcome.measured, 'final_cost': costs})


def _holds(group, name, outcomes):
  (claim,) = (each for each in group if each.name == name)
  (found,) = claims.findings([claim], outcomes)
  assert found.evidence
  return found.holds


_BETTER = {'Tanh': 0.6}
_LEARNED = {'Tanh': 1.9}
_ALIKE = dict.fromkeys(statements.ROWS, 0.7)


@pytest.mark.parametrize(
  ('name', 'true', 'false'),
  [
    ('table 1: plateau', {}, {'costs': _LEARNED}),
    (
      'table 1: plateau',
      {'costs': {'Tanh': 50.0}},
      {'costs': {'Sigmoid': 2.0}},
    ),
    ('table 1: 2.110 nats', {}, {'costs': {'Tanh': 2.3}}),
    ('table 1: off the plateau', {}, {'costs': {'Softsign': 2.1}}),
    ('table 1: order', {}, {'errors': _BETTER}),
    ('table 1: order', {}, {'errors': _ALIKE}),
  ],
)
def test_the_table(name, true, false):
  assert _holds(statements.TABLE, name, _study(**true)) is True
  assert _holds(statements.TABLE, name, _study(**false)) is False


def test_the_plateau_wants_three_decades():
  few = _study(rates=(0.01, 0.1, 1.0))
  assert _holds(statements.TABLE, 'table 1: plateau', few) is None


@pytest.mark.parametrize(
  ('name', 'errors'),
  [
    ('table 1: tanh and sigmoid', {'Tanh': 0.27}),
    ('table 1: tanh N and softsign', {'Tanh N': 0.15, 'Softsign': 0.16}),
  ],
)
def test_what_only_a_long_run_shows(name, errors):
  long = {'steps': (0, statements.LONG)}
  other = dict(zip(errors, reversed(errors.values()), strict=True))
  other = other if len(other) > 1 else {'Tanh': 0.9}
  assert _holds(statements.TABLE, name, _study(errors, **long)) is True
  assert _holds(statements.TABLE, name, _study(other, **long)) is False
  assert _holds(statements.TABLE, name, _study(errors)) is None


def test_figures_11_and_12():
  assert _holds(statements.FIGURE_11, 'figure 11', _study()) is True
  assert _holds(statements.FIGURE_11, 'figure 11', _study(_BETTER)) is False
  for name in ('figure 12: sigmoid', 'figure 12: tanh'):
    ordered = _study({'Tanh': 0.75, 'Sigmoid': 0.9})
    assert _holds(statements.SMALL_IMAGES, name, ordered) is True
    assert _holds(statements.SMALL_IMAGES, name, _study(_ALIKE)) is False


def test_four_layers_against_five():
  def pair(four, five, steps):
    return [
      _outcome(
        'Sigmoid',
        steps=steps,
        widths=(8,) * depth,
        final_error=error,
        final_valid_error=error,
      )
      for depth, error in ((4, four), (5, five))
    ]

  (name,) = (each.name for each in statements.DEPTH)
  long, short = (0, statements.LONG), (0, 6000)
  assert _holds(statements.DEPTH, name, pair(0.5, 0.8, long)) is True
  assert _holds(statements.DEPTH, name, pair(0.8, 0.5, long)) is False
  assert _holds(statements.DEPTH, name, pair(0.5, 0.8, short)) is None
  assert _holds(statements.DEPTH, name, pair(0.5, 0.8, long)[:1]) is None


def test_rates_by_curvature():
  def study(scaled, normalized=0.6):
    errors = {
      ('sgd', 'Tanh'): 0.8,
      ('sgd', 'Tanh N'): normalized,
      ('rmsprop', 'Tanh'): scaled,
      ('rmsprop', 'Tanh N'): 0.5,
      ('curvature', 'Tanh'): 0.8,
      ('curvature', 'Tanh N'): 0.5,
    }
    settings = []
    for (optimizer, row), error in errors.items():
      one = _outcome(row, final_error=error, final_valid_error=error)
      config = dataclasses.replace(one.config, optimizer=optimizer)
      settings.append(one._replace(config=config))
    return settings

  gain, enough = (claim.name for claim in statements.CURVATURE)
  assert _holds(statements.CURVATURE, gain, study(0.7)) is True
  assert _holds(statements.CURVATURE, gain, study(0.8)) is False
  assert _holds(statements.CURVATURE, enough, study(0.7)) is True
  assert _holds(statements.CURVATURE, enough, study(0.5)) is False
  assert _holds(statements.CURVATURE, enough, study(0.7)[:3]) is None


def test_figure_2():
  steps = (0, 5000, 5_000_000)

  def sigmoid(early, late, steps=steps):
    means = np.array([[0.5] * 4, early, late])[: len(steps)]
    values = {'activation_mean': means}
    return [_curves(values, steps, row='Sigmoid', widths=(8,) * 4)]

  good = sigmoid([0.55, 0.6, 0.7, 0.02], [0.55, 0.6, 0.7, 0.4])
  bad = sigmoid([0.45, 0.6, 0.58, 0.3], [0.45, 0.6, 0.5, 0.02])
  for name in (claim.name for claim in statements.FIGURE_2):
    assert _holds(statements.FIGURE_2, name, good) is True
    assert _holds(statements.FIGURE_2, name, bad) is False
  short = sigmoid([0.55, 0.6, 0.7, 0.02], [0.0] * 4, steps[:2])
  assert _holds(statements.FIGURE_2, 'figure 2: escape', short) is None


def test_figures_3_and_10():
  steps = (0, 1000, 2_000_000)

  def saturating(row, late):
    edges = np.array([[0.6, 0.4, 0.2], [0.97, 0.8, 0.5], late])
    return _curves({'activation_percentile': edges}, steps, row=row)

  ordered = saturating('Tanh', [0.98, 0.97, 0.6])
  edges = ordered.measured['activation_percentile'][:, :, [2, 1, 0, 3]]
  backward = ordered._replace(measured={'activation_percentile': edges})
  together = [0.7, 0.68, 0.66]
  name = 'figure 3: tanh'
  assert _holds(statements.FIGURE_3, name, [ordered]) is True
  assert _holds(statements.FIGURE_3, name, [backward]) is False
  short = [ordered._replace(steps=(0, 500, 1000))]
  assert _holds(statements.FIGURE_3, name, short) is None
  for group, name, row in (
    (statements.FIGURE_3, 'figure 3: softsign', 'Softsign'),
    (statements.FIGURE_10, 'figure 10', 'Tanh N'),
  ):
    tanh = saturating('Tanh', [0.98, 0.8, 0.5])
    good, bad = saturating(row, together), saturating(row, [0.98, 0.6, 0.2])
    assert _holds(group, name, [tanh, good]) is True
    assert _holds(group, name, [tanh, bad]) is False
    assert _holds(group, name, [_stuck(tanh), good]) is None


def test_figure_4():
  long = (0, 2_000_000)

  def ended(row, values, steps=long):
    sample = np.tile(values, (2, 1)) * np.ones((2, len(values)))
    return [_outcome(row, steps=steps, activation_sample=sample)]

  flat, knees = np.linspace(-0.5, 0.5, 9), np.array([-0.7, 0.7, 0.1])
  edges = np.array([-0.97, 0.97, 0.0, 0.5])
  for name, row, good in (
    ('figure 4: tanh', 'Tanh', edges),
    ('figure 4: softsign', 'Softsign', knees),
  ):
    assert _holds(statements.FIGURE_4, name, ended(row, good)) is True
    assert _holds(statements.FIGURE_4, name, ended(row, flat)) is False
    assert _holds(statements.FIGURE_4, name, ended(row, good, (0, 9))) is None


def test_figure_9():
  def pair(standard, normalized):
    return [
      _curves({'weight_gradient_std': np.array([[1.0, 1.0], each])}, row=row)
      for row, each in (('Tanh', standard), ('Tanh N', normalized))
    ]

  apart, close = [4.0, 1.0], [1.1, 1.0]
  assert _holds(statements.FIGURE_9, 'figure 9', pair(apart, close)) is True
  assert _holds(statements.FIGURE_9, 'figure 9', pair(close, apart)) is False
  assert _holds(statements.FIGURE_9, 'figure 9', pair(close, apart)[:1]) is None
  tanh, normalized = pair(apart, close)
  stuck = [_stuck(tanh), normalized]
  assert _holds(statements.FIGURE_9, 'figure 9', stuck) is None


def test_table_1_invents_nothing():
  """Columns without data say so, and the paper's numbers are the paper's."""
  titles = {'shapeset': 'a', 'mnist': 'b'}
  table = statements.table({'a': _study()}, titles)
  cells = {
    (column.group, column.head): column.cells for column in table.columns
  }
  assert cells['Shapeset-3x2', 'paper'][4] == '82.61'
  assert cells['Shapeset-3x2', 'here [95%]'][0].startswith('69.68 [')
  assert set(cells['MNIST', 'here [95%]']) == {'no data'}
  assert set(cells['digits', 'here [95%]']) == {'not run'}
  assert set(cells['Small-ImageNet', 'here [95%]']) == {'not available'}
  assert ('digits', 'paper') not in cells
  tests = statements.differences({'a': _study()}, titles)
  of = dict(zip(tests.index.cells, tests.columns[0].cells, strict=True))
  assert of['Softsign and Tanh'].endswith('*')
  assert not of['Softsign and Softsign N'].endswith('*')
  assert set(tests.columns[1].cells) == {'-'}


@pytest.mark.slow
def test_the_plateau_and_the_order_of_the_rows(tmp_path, capsys):
  """The column Shapeset at half the updates and three of the four rates."""
  chapter = next(
    each
    for each in paper.COLLECTION.chapters
    if each.title == 'Figure 11 and table 1: Shapeset-3x2'
  )
  shorter = ('--steps=3000', '--learning_rate=0.001,0.1,1')
  chapter = chapter._replace(flags=(*chapter.flags, *shorter))
  program = paper.COLLECTION._replace(chapters=(chapter,))
  options = [f'--out={tmp_path}', '--compile_cache=none']
  with pytest.raises(SystemExit) as exit_:
    launch.collect(program, ['paper', *options])
  told = capsys.readouterr()
  assert exit_.value.code == 0, told.err
  assert '5 reproduced, 2 not tested' in told.out
