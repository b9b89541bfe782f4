"""The paper's statements of table 1: each can hold, and each can fail."""

import dataclasses

import numpy as np
import pytest
import trainings

from experiments import paper
from initlab import glorot2010_table as statements
from initlab import launch

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
    ('table 1: order', {}, {'errors': trainings.BETTER}),
    ('table 1: order', {}, {'errors': _ALIKE}),
  ],
)
def test_the_table(name, true, false):
  assert (
    trainings.holds(statements.TABLE, name, trainings.study(**true)) is True
  )
  assert (
    trainings.holds(statements.TABLE, name, trainings.study(**false)) is False
  )


def test_the_plateau_wants_three_decades():
  few = trainings.study(rates=(0.01, 0.1, 1.0))
  assert trainings.holds(statements.TABLE, 'table 1: plateau', few) is None


def test_a_constant_answer_is_of_the_test_examples_that_there_are():
  """Of a finite data set there may be fewer than are asked for."""
  (one,) = trainings.study(rates=(0.1,))[:1]
  costs = [
    statements.constant_cost(
      one._replace(
        config=dataclasses.replace(
          one.config, dataset='xor', test_size=test_size
        )
      )
    )
    for test_size in (4, 1000)
  ]
  np.testing.assert_allclose(costs, np.log(2), rtol=1e-6)


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
  assert (
    trainings.holds(statements.TABLE, name, trainings.study(errors, **long))
    is True
  )
  assert (
    trainings.holds(statements.TABLE, name, trainings.study(other, **long))
    is False
  )
  assert (
    trainings.holds(statements.TABLE, name, trainings.study(errors)) is None
  )


@pytest.mark.parametrize('name', ['figure 12: sigmoid', 'figure 12: tanh'])
def test_figure_12(name):
  ordered = trainings.study({'Tanh': 0.75, 'Sigmoid': 0.9})
  assert trainings.holds(statements.SMALL_IMAGES, name, ordered) is True
  assert (
    trainings.holds(statements.SMALL_IMAGES, name, trainings.study(_ALIKE))
    is False
  )


def test_four_layers_against_five():
  def pair(four, five, steps):
    return [
      trainings.outcome(
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
  assert trainings.holds(statements.DEPTH, name, pair(0.5, 0.8, long)) is True
  assert trainings.holds(statements.DEPTH, name, pair(0.8, 0.5, long)) is False
  assert trainings.holds(statements.DEPTH, name, pair(0.5, 0.8, short)) is None
  assert (
    trainings.holds(statements.DEPTH, name, pair(0.5, 0.8, long)[:1]) is None
  )


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
      one = trainings.outcome(row, final_error=error, final_valid_error=error)
      config = dataclasses.replace(one.config, optimizer=optimizer)
      settings.append(one._replace(config=config))
    return settings

  gain, enough = (claim.name for claim in statements.CURVATURE)
  assert trainings.holds(statements.CURVATURE, gain, study(0.7)) is True
  assert trainings.holds(statements.CURVATURE, gain, study(0.8)) is False
  assert trainings.holds(statements.CURVATURE, enough, study(0.7)) is True
  assert trainings.holds(statements.CURVATURE, enough, study(0.5)) is False
  assert trainings.holds(statements.CURVATURE, enough, study(0.7)[:3]) is None


def test_table_1_invents_nothing():
  """Columns without data say so, and the paper's numbers are the paper's."""
  titles = {'shapeset': 'a', 'mnist': 'b'}
  table = statements.table({'a': trainings.study()}, titles)
  cells = {
    (column.group, column.head): column.cells for column in table.columns
  }
  assert cells['Shapeset-3x2', 'paper'][4] == '82.61'
  assert cells['Shapeset-3x2', 'here [95%]'][0].startswith('69.68 [')
  assert set(cells['MNIST', 'here [95%]']) == {'no data'}
  assert set(cells['digits', 'here [95%]']) == {'not run'}
  assert set(cells['Small-ImageNet', 'here [95%]']) == {'not available'}
  assert ('digits', 'paper') not in cells
  tests = statements.differences({'a': trainings.study()}, titles)
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
