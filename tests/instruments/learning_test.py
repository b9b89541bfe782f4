"""The learning report: what it records, compares, counts and draws."""

import csv as csv_format
import dataclasses
import io

import jax
import numpy as np
import pytest

from initlab import base, keys, panels, stats, training
from initlab.experiment import Outcome, axes_of, geometric
from initlab.instruments import learning, variance
from initlab.report import comparison, summary, tables, text as report_text
from initlab.report.plots import figure as figures, style
from tests.helpers import made_up

_STEPS = (0, 10, 20, 40)
_CURVES = [
  panel for panel in learning.PANELS if isinstance(panel, panels.Curves)
]


def _outcome(label, shift=0.0, seeds=12, lost=()):
  """One setting as the experiment would measure it, falling to 0.1 + shift."""
  rng = np.random.default_rng(3)
  steps, layers = np.array(_STEPS), 3
  curve = 0.1 + shift + 0.8 * np.exp(-steps / 10)
  error = curve + 0.01 * rng.standard_normal((seeds, len(steps)))
  deep = np.exp(0.1 * rng.standard_normal((seeds, len(steps), layers)))
  measured = {
    'error': error,
    'mean_loss': 2 * error,
    'train_loss': np.where(steps == 0, np.nan, 1.9 * error),
    'activation_mean': deep - 1,
    'activation_std': deep,
    'activation_percentile': 2 * deep,
    'gradient_std': 0.1 * deep,
    'weight_gradient_std': 0.01 * deep,
    'saturated': 0 * deep,
    'activation_sample': np.tanh(rng.standard_normal((seeds, layers, 20))),
    'final_error': error[:, -1].copy(),
    'final_loss': 2 * error[:, -1],
    'final_valid_error': error[:, -1] + 0.01,
  }
  step, cost = np.full(seeds, np.nan), np.ones(seeds)
  for seed in lost:
    step[seed], cost[seed] = 15, 7.5
    for field, values in measured.items():
      whole = 'step' not in axes_of(learning.Result)[field]
      values[seed, ... if whole else slice(2, None)] = np.nan
      assert field
  return Outcome(
    config=dataclasses.replace(learning.SMOKE, bias=shift),
    label=label,
    seeds=np.arange(seeds) + 100,
    measured={**measured, 'diverged_step': step, 'last_loss': cost},
    predicted={},
    steps=_STEPS,
    axes=axes_of(learning.Result),
    geometric=geometric(learning.Result),
  )


@pytest.fixture(scope='module')
def outcomes():
  return [_outcome('good'), _outcome('bad', 0.2, lost=(3, 5))]


# The program.


@jax.jit
def _run(config, key, data):
  return training.run(learning.EXPERIMENT, config, key, data)


def test_a_run_is_what_the_pieces_say():
  """Four records of seven steps; of what has no steps, the last counts."""
  data = learning.load(learning.SMOKE, '')
  key = keys.at(keys.root(0), 5)
  result = _run(learning.SMOKE, key, data)
  assert result.error.shape == (4,)
  assert result.activation_std.shape == (4, 3)
  assert float(result.final_error) == float(result.error[-1])
  assert float(result.final_loss) == float(result.mean_loss[-1])
  assert np.isnan(result.diverged_step)
  assert np.isnan(result.train_loss[0])
  assert np.isfinite(result.train_loss[1:]).all()


@pytest.mark.parametrize('page', [variance, learning])
def test_probes_are_of_the_test_examples_that_there_are(page):
  data = page.load(page.Config(dataset='xor'), 'nothing')
  assert len(getattr(data, 'shown', data).y) == 4


def test_training_examples_are_as_many_as_the_flag_says_or_refused():
  config = learning.Config(dataset='xor', train_size=3)
  assert len(learning.load(config, 'nothing').train.y) == 3
  more = dataclasses.replace(config, train_size=5)
  with pytest.raises(base.UserError, match='--train_size=5: 5 examples'):
    learning.load(more, 'nothing')


def test_a_constant_answer_is_of_the_test_examples_that_there_are():
  """Of a finite data set there may be fewer than are asked for."""
  config = learning.Config(dataset='xor', test_size=1000, examples=4)
  data = learning.load(config, 'nothing')
  np.testing.assert_allclose(learning.predict(config, data)['prior'], np.log(2))


def test_a_seed_that_diverges_is_nan_from_there_on():
  config = dataclasses.replace(
    learning.SMOKE, loss='squared_error', learning_rate=1e30
  )
  data = learning.load(config, '')
  result = _run(config, keys.at(keys.root(0), 1), data)
  assert 1 <= float(result.diverged_step) <= 3
  assert np.isfinite(result.last_loss)
  assert np.isfinite(result.error[0])
  assert np.isnan(result.error[1:]).all()
  assert np.isnan(result.activation_std[1:]).all()
  assert np.isnan(result.final_error)


@pytest.mark.slow
def test_digits_are_learned_in_a_few_steps():
  config = learning.Config(
    widths=(30,), steps=150, record_every=150, learning_rate=0.3
  )
  data = learning.load(config, '')
  result = _run(config, keys.at(keys.root(0), 0), data)
  assert float(result.error[0]) > 0.5
  assert float(result.error[1]) < 0.15


@pytest.mark.parametrize(
  ('knobs', 'message'),
  [
    ({'steps': 0}, '--steps=0'),
    ({'record_every': 0}, '--record_every=0'),
    ({'batch_size': -1}, '--batch_size=-1'),
    ({'learning_rate': 0.0}, '--learning_rate=0.0'),
    ({'widths': ()}, '--widths='),
    ({'optimizer': 'lbfgs'}, 'lbfgs needs 0'),
    ({'batch_size': 0, 'dataset': 'shapeset'}, 'endless'),
    ({'gain': 'much'}, '--gain=much'),
    ({'gain': '2', 'init': 'zeros'}, 'zeros has no gain'),
  ],
)
def test_settings_that_make_no_sense_are_refused(knobs, message):
  with pytest.raises(base.UserError, match=message):
    learning.Config(**knobs)


def test_settings_that_differ_in_traced_numbers_have_one_structure():
  structure = lambda **knobs: jax.tree.structure(learning.Config(**knobs))
  assert structure() == structure(learning_rate=0.01, bias=0.5)
  assert structure(gain=2) == structure(gain=3.0)
  assert (
    len({structure(gain='activation'), structure(), structure(gain=2)}) == 3
  )
  leaves = jax.tree.leaves(learning.Config(gain='3', learning_rate=0.5))
  assert leaves == [3.0, 0.0, 0.5]


@pytest.mark.slow
def test_a_finite_part_of_an_endless_set_is_seen_again_and_again(tmp_path):
  endless = learning.Config(dataset='gaussian', valid_size=3, test_size=5)
  finite = dataclasses.replace(endless, train_size=7, batch_size=0)
  assert learning.load(endless, '').train is None
  data = learning.load(finite, '')
  assert [len(each.x) for each in data] == [7, 3, 5, 300]


def test_rates_are_compared_where_validation_chooses():
  """Two settings at two rates: a table of rates, and then of two settings."""
  pairs = [
    _outcome(f'{init}, learning_rate {rate}', shift)._replace(
      config=dataclasses.replace(learning.SMOKE, init=init, learning_rate=rate)
    )
    for init, rate, shift in (
      ('he', 0.1, 0.2),
      ('he', 1.0, 0.0),
      ('glorot', 0.1, 0.1),
      ('glorot', 1.0, 0.3),
    )
  ]
  titles = [
    each.title for each in summary.contents(learning.EXPERIMENT, pairs)[:3]
  ]
  assert 'Learning rate' in titles[0]
  assert all('at the chosen learning rate' in each for each in titles[1:])
  found = summary.contents(learning.EXPERIMENT, pairs)
  assert found[0].columns[0].cells == ['1.0', '0.1']
  assert found[1].index.cells == ['he', 'glorot']
  alone = summary.contents(learning.EXPERIMENT, pairs[:1])
  assert 'Learning rate' not in alone[0].title
  chosen = panels.Curves(
    'error', 'Chosen', 'error', tuned=learning.EXPERIMENT.tuned
  )
  text = made_up.words(figures.figure(chosen, pairs))
  assert 'learning_rate' not in text
  assert 'not include the choice' in figures.caption(chosen, pairs)
  assert 'glorot' in text


# The comparison.


def test_the_tests_are_those_of_stats_paired_by_seed(outcomes):
  (found,) = comparison.compare('final_error', outcomes)
  good, bad = (each.measured['final_error'] for each in outcomes)
  assert found.p == stats.permutation_test(bad, good).p < 0.01
  assert found.holm == found.p
  assert found.difference.n == 10
  assert found.difference.total == 12
  assert found.difference.value == pytest.approx(0.2, abs=1e-9)


def test_many_settings_are_compared_with_the_first():
  few = [_outcome(str(i)) for i in range(4)]
  many = [_outcome(str(i)) for i in range(7)]
  assert len(comparison.compare('final_error', few)) == 6
  assert len(comparison.compare('final_error', many)) == 6


def test_an_interval_or_what_it_takes_is_in_the_tables():
  pair = [_outcome('a', seeds=5), _outcome('b', 0.1, seeds=5)]
  errors, tests = comparison.all_tables('final_error', pair)
  cells = {column.group: column.cells for column in errors.columns}
  x = pair[0].measured['final_error']
  assert cells['mean'][0] == tables.cell(stats.mean(x))
  assert '[' in cells['mean'][0] and '[' in cells['interquartile mean'][0]
  assert cells['median'][0] == f'{np.median(x):.4g} (needs 6 seeds)'
  (few,) = comparison.all_tables('final_error', [_outcome('a', seeds=4)])
  assert few.columns[0].cells[0].endswith('(needs 5 seeds)')
  (found,) = comparison.compare('final_error', pair)
  size = abs(found.difference.value) / 2
  needed = stats.seeds_needed(
    pair[1].measured['final_error'], pair[0].measured['final_error'], size
  )
  assert found.needed == needed
  ends = (float(end) for end in needed[:3])
  told = '{:.6g} ({:.6g} to {:.6g})'.format(*ends)
  assert tests.columns[-1].cells == [told]


def test_seeds_are_paired_by_their_number():
  first = _outcome('first')
  second = first._replace(
    seeds=first.seeds[::-1],
    measured={name: x[::-1] for name, x in first.measured.items()},
  )
  (found,) = comparison.compare('final_error', [first, second])
  assert found.difference.value == 0


@pytest.mark.parametrize('seeds', [1, 2])
def test_few_seeds_are_compared_as_far_as_they_go(seeds):
  pair = [_outcome('a', seeds=seeds), _outcome('b', 0.1, seeds=seeds)]
  for table in comparison.all_tables('final_error', pair):
    assert table.index.cells
  assert comparison.csv('final_error', pair)


def test_divergence_is_counted_with_the_interval_of_a_share(outcomes):
  share = tables.cell(stats.share(2, 12), unit='%')
  line = comparison.divergence(outcomes[1])
  assert f'2 of 12 seeds, {share}, at' in line
  assert 'at steps 15 to 15' in line
  assert '7.5' in line
  assert 'seeds 103, 105' in line
  assert 'none of 12 seeds' in comparison.divergence(outcomes[0])


def test_best_median_and_worst_seed(outcomes):
  good = comparison.examples('final_error', outcomes[0])
  values = outcomes[0].measured['final_error']
  at = {name: values[seed - 100] for name, seed in good.items()}
  assert at['best'] == values.min()
  assert at['worst'] == values.max()
  assert np.sum(values < at['median']) == 5
  assert comparison.examples('final_error', outcomes[1])['worst'] in (103, 105)


def test_the_numbers_as_csv(outcomes):
  text = comparison.csv('final_error', outcomes)
  rows = list(csv_format.DictReader(io.StringIO(text)))
  lost = next(
    row
    for row in rows
    if (row['name'], row['statistic']) == ('bad', 'share not finite')
  )
  assert float(lost['value']) == pytest.approx(2 / 12)
  means = [row for row in rows if row['statistic'] == 'mean']
  assert [row['seeds'] for row in means] == ['12', '10', '10']
  (needed,) = [row for row in rows if row['statistic'] == 'needed']
  (found,) = comparison.compare('final_error', outcomes)
  for column in ('value', 'low', 'high'):
    assert float(needed[column]) == getattr(found.needed, column)


def test_tables_in_latex_have_as_many_cells_in_every_row(outcomes):
  for table in comparison.all_tables('final_error', outcomes):
    lines = tables.latex(table).splitlines()
    rows = [line for line in lines if line.endswith(r'\\')]
    assert len({line.count(' & ') for line in rows}) == 1
    assert all('%' not in line.replace(r'\%', '') for line in rows)


# The report.


def test_the_report_says_how_many_seeds_diverged(outcomes):
  text = report_text.text(learning.EXPERIMENT, outcomes, {}, 100)
  assert 'diverged: 2 of 12 seeds' in text
  assert 'diverged: none of 12 seeds' in text
  assert 'not finite for 2' not in text
  assert 'after 40 steps' in text
  assert '10 of 12' in text
  assert 'Holm' in text


def test_a_sweep_of_which_no_seed_survives_is_still_a_report():
  lost = [_outcome('lost', seeds=3, lost=range(3))]
  text = report_text.text(learning.EXPERIMENT, lost, {}, 100)
  assert 'diverged: 3 of 3 seeds' in text
  for panel in learning.PANELS[::3]:
    style.svg(figures.figure(panel, lost))


def test_the_summary_has_a_row_a_step(outcomes):
  rows = list(csv_format.DictReader(io.StringIO(summary.csv(outcomes))))
  error = [
    row for row in rows if (row['setting'], row['measure']) == ('bad', 'error')
  ]
  assert [row['step'] for row in error] == ['0', '10', '20', '40']
  assert [row['seeds'] for row in error] == ['12', '12', '10', '10']
  deep = [row for row in rows if row['measure'] == 'saturated']
  assert {row['layer'] for row in deep} == {'1', '2', '3'}


@pytest.mark.parametrize('panel', _CURVES[::3], ids=lambda x: x.field)
@pytest.mark.parametrize('count', [1, 9])
def test_curves_name_their_axes_settings_and_seeds(outcomes, panel, count):
  shown = (outcomes * 5)[:count]
  text = made_up.words(figures.figure(panel, shown))
  for word in (panel.title, panel.label, 'step', 'good'):
    assert word in text
  assert 'seeds, 95% interval' in text
  assert 'against the steps' in figures.caption(panel, shown)


def test_curves_of_what_ranges_over_decades_are_geometric_means(outcomes):
  (panel,) = [x for x in _CURVES if x.field == 'weight_gradient_std']
  figure = figures.figure(panel, outcomes)
  expected = stats.geometric_mean(outcomes[0].measured[panel.field])
  for layer, line in enumerate(figure.axes[0].lines[:3]):
    np.testing.assert_array_equal(line.get_ydata(), expected.value[:, layer])
  assert 'geometric mean of 10 to 12 seeds' in made_up.words(figure)
  # Less than a decade has two labels, too.
  low, high = figure.axes[0].get_ylim()
  assert sum(low <= tick <= high for tick in figure.axes[0].get_yticks()) >= 2
  # The same of a measure of the whole network.
  whole = dataclasses.replace(panel, field='error')
  marked = [each._replace(geometric=frozenset({'error'})) for each in outcomes]
  figure = figures.figure(whole, marked)
  expected = stats.geometric_mean(outcomes[0].measured['error'])
  np.testing.assert_array_equal(
    figure.axes[0].lines[0].get_ydata(), expected.value
  )
  caption = figures.caption(whole, marked)
  assert 'Line and band: the geometric mean and its interval' in caption


def test_curves_say_how_many_seeds_diverged(outcomes):
  for panel in _CURVES:
    text = made_up.words(figures.figure(panel, outcomes))
    assert 'bad (2 of 12 diverged)' in text
    assert 'good (' not in text


def test_a_curve_is_drawn_the_same_twice(outcomes):
  first, second = (
    style.svg(figures.figure(learning.PANELS[0], outcomes)) for _ in range(2)
  )
  assert first == second


@pytest.mark.parametrize('seeds', [1, 2])
def test_curves_of_few_seeds(seeds):
  for panel in learning.PANELS[::3]:
    style.svg(figures.figure(panel, [_outcome('few', seeds=seeds)]))
