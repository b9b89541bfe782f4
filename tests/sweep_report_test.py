"""What a notebook gets of any function over seeds: numbers, vectors, arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import initlab
from initlab import base, stats
from tests.helpers import made_up


def _shifted(shift):
  """A function of a key, of every kind of result."""

  def run(key):
    x = jax.random.normal(key, (3, 2))
    large = x[0, 0] > 0.5
    return {
      'first': x[0, 0] + shift,
      'count': jnp.sum(x > 0),
      'lost': jnp.where(large, jnp.nan, x[1, 1]),
      'large': large,
      'row': x[:, 0] + shift,
      'x': x,
    }

  return run


@pytest.fixture(scope='module')
def report():
  return initlab.sweep(_shifted(0.0), seeds=8)


def test_numbers_and_vectors_have_estimates(report):
  first = report.sweep.results['first']
  assert report.sweep.seeds.tolist() == list(range(8))
  told = dict(line.split(': ', 1) for line in report.verdict.splitlines())
  assert told['first'] == f'mean {stats.mean(first)}'
  large = int(report.sweep.results['large'].sum())
  assert 0 < large < 8
  share = stats.share(large, 8)
  assert told['large'] == f'true for {share:%} of the seeds'
  assert told['lost'].endswith(f'not finite for {large} of 8 seeds')
  row = report.sweep.results['row']
  lowest = int(row.mean(0).argmin())
  assert (
    f'from {stats.mean(row[:, lowest])}, entry {lowest}'
    in (told['row, 3 entries'])
  )
  assert 'the rows have it' in told['x, 3x2 a seed']
  text = repr(report)
  assert f'{stats.median(first)}' in text and f'{8 - large} of 8' in text
  assert 'row, entry by entry' in text and 'x, 3x2' in text


def test_a_figure_is_a_histogram_or_a_curve(report):
  assert report.figures == ('count', 'first', 'lost', 'row')
  bars = report.figure('count').axes[0].patches[0].get_data()
  counts = report.sweep.results['count']
  # A bin a whole number, which holds its seeds.
  for value, low in zip(bars.values, bars.edges, strict=False):
    assert value == np.sum(counts == low + 0.5)
  assert bars.values.sum() == 8
  (axes,) = report.figure('row').axes
  np.testing.assert_allclose(
    axes.lines[-1].get_ydata(), report.sweep.results['row'].mean(0), rtol=1e-6
  )
  words = made_up.words(report.figure('lost'))
  left = int(np.isfinite(report.sweep.results['lost']).sum())
  assert f'mean of {left} seeds, ' in words
  with pytest.raises(base.UserError, match="did you mean 'first'"):
    report.figure('frist')


def test_a_vector_of_yes_and_no_has_exact_intervals():
  report = initlab.sweep(lambda key: {'all': jnp.ones(3, bool)}, seeds=8)
  share = stats.share(8, 8)
  assert f'{share}' in repr(report)
  (band,) = report.figure('all').axes[0].collections
  low, high = band.get_datalim(report.figure('all').axes[0].transData).intervaly
  np.testing.assert_allclose([low, high], [share.low, 1], rtol=1e-6)
  assert 'share of 8 seeds' in made_up.words(report.figure('all'))


def test_it_shows_itself_and_is_saved(report, tmp_path):
  html = report._repr_html_()
  assert html.count('<svg') == 1 and 'count, first, lost, row' in html
  page = report.save(tmp_path).read_text()
  assert page.count('<figure>') == 4 and page.count('<table>') == 2
  assert page.count('class="lead"') == 2 and 'true for' in page
  rows = pd.read_parquet(tmp_path / 'rows.parquet')
  pd.testing.assert_frame_equal(rows, report.to_frame())
  assert len(rows) == 8 * (1 + 1 + 1 + 1 + 3 + 6)
  assert {path.suffix for path in tmp_path.iterdir()} == {
    *('.svg', '.png', '.html', '.parquet')
  }


def test_sweeps_are_compared_by_seed(report):
  """The same draws, shifted: the difference has no spread."""
  other = initlab.sweep(_shifted(0.5), seeds=range(2, 9), name='moved')
  table = report.compare(other).set_index(['leaf', 'axis_0'])
  assert len(table) == 4 + 3 and set(table.b) == {'moved'}
  assert set(table.total) == {8}
  first = table.loc['first'].iloc[0]
  assert (first.pairs, table.loc['lost'].pairs.item() < 6) == (6, True)
  # To the rounding of float32 values of a few units.
  np.testing.assert_allclose(
    [first.difference, first.low, first.high], 0.5, atol=1e-6
  )
  # 6 shared seeds: 2 of 64 sign patterns are as extreme; of 7, 4 are moved.
  np.testing.assert_allclose(first.p, 2 / 64)
  np.testing.assert_allclose(first.p_holm, 7 * 2 / 64)
  np.testing.assert_allclose(table.loc['row'].difference, 0.5, atol=1e-6)
  assert (table.loc['count'].difference == 0).all()


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'seeds': 3, 'root_seed': 1}, 'root seeds 0 and 1'),
    ({'seeds': [9]}, 'share no seed'),
  ],
)
def test_what_is_no_pair_is_not_compared(report, options, message):
  other = initlab.sweep(_shifted(0.0), **options)
  with pytest.raises(base.UserError, match=message):
    report.compare(other)


def test_arrays_alone_and_no_seeds_are_told(tmp_path):
  run = lambda key: jax.random.normal(key, (2, 2))
  matrix = initlab.sweep(run, seeds=1)
  assert not matrix.figures and 'result, 2x2' in repr(matrix)
  assert '<svg' not in matrix._repr_html_()
  with pytest.raises(base.UserError, match='no number and no vector'):
    matrix.compare(matrix)
  none = initlab.sweep(run, seeds=1, out=tmp_path / 'mine', worker=(1, 2))
  assert 'no seed is in the share' in none.verdict
  assert 'no seeds' in repr(none) and none.to_frame().empty


def test_seeds_are_how_many_or_which(report):
  found = initlab.sweep(_shifted(0.0), seeds=[5, 2])
  assert found.sweep.seeds.tolist() == [2, 5]
  np.testing.assert_array_equal(
    found.sweep.results['x'], report.sweep.results['x'][[2, 5]]
  )
