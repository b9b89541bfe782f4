"""The intervals that the lab prints cover, and those that do not are absent."""

import importlib.util
import pathlib
import re

import numpy as np
import pytest
from scipy import stats as scipy_stats

from initlab import stats

_PATH = pathlib.Path(__file__).parents[1] / 'scripts/simulated_coverage.py'
_SPEC = importlib.util.spec_from_file_location('simulated_coverage', _PATH)
simulated = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(simulated)

_SAMPLES = 10_000
# All cells together fail by chance in one run of a thousand, if each covers as
# often as it must.
_CELLS = len(simulated.printed()) * len(simulated.SEEDS)
_ERRORS = scipy_stats.norm.isf(0.001 / _CELLS)


def _bound(row):
  samples = round(row.share * _SAMPLES)
  least = simulated.LEAST
  return least - _ERRORS * np.sqrt(least * (1 - least) / samples)


@pytest.mark.slow
def test_every_interval_that_is_printed_covers():
  print('\n'.join(simulated.table(simulated.printed(), 1000)))
  for row in simulated.printed():
    covered = np.array(list(simulated.coverages(row, _SAMPLES)))
    shown = covered[np.isfinite(covered)]
    assert shown.size, f'{row.name}, {row.law}: never printed'
    assert shown.min() > _bound(row), f'{row.name}, {row.law}: {covered}'


@pytest.mark.slow
@pytest.mark.parametrize('row', simulated.rejected(), ids=lambda row: row.name)
def test_what_is_not_printed_does_not_cover(row):
  samples = 4 * _SAMPLES
  covered = list(simulated.coverages(row, samples))
  error = np.sqrt(simulated.LEAST * (1 - simulated.LEAST) / samples)
  # One that covers enough is called short once in a thousand, of all sizes.
  errors = scipy_stats.norm.isf(0.001 / len(covered))
  assert min(covered) < simulated.LEAST - errors * error


@pytest.mark.slow
@pytest.mark.parametrize('pairs', simulated.PILOTS)
def test_pilots_name_seeds_of_the_power_wanted_as_often_as_assured(pairs):
  found = simulated.power(pairs, _SAMPLES)
  # Of four pilots together, once in a thousand runs by chance.
  errors = scipy_stats.norm.isf(0.001 / 4 / 2)
  error = np.sqrt(0.8 * 0.2 / _SAMPLES)
  # 34 seeds have the power at an effect of 0.5, and numbers are whole: a pilot
  # names enough if its deviation is above the largest for which 33 would do.
  deviations = np.linspace(0.9, 1, 1001)
  largest = deviations[stats.seeds_for(0.5, deviations) <= 33].max()
  law = scipy_stats.chi2(pairs - 1)
  assured = law.sf(law.ppf(0.2) * largest**2)
  assert 0.8 < assured < 0.84
  assert abs(found.assured - assured) < errors * error
  assert found.mean > 0.8 > found.uncorrected


def test_what_is_said_of_the_least_coverage_is_so():
  docs = _PATH.parents[1] / 'docs'
  page = (docs / 'coverage.md').read_text('utf-8')
  head, meant, skewed, *_ = page.split('\n## ')
  percents = lambda text: [
    float(cell) / 100 for cell in re.findall(r'(?<=\| )\d+\.\d(?= \|)', text)
  ]
  assert min(percents(meant)) >= simulated.LEAST > min(percents(skewed))
  for text in (head, (docs / 'reading.md').read_text('utf-8')):
    sentence = text[text.index('93%') :].partition('.\n')[0]
    assert '#what-skewed-values-do-to-them' in sentence


def test_the_page_is_of_every_interval_and_size():
  page = (_PATH.parents[1] / 'docs/coverage.md').read_text('utf-8')
  rows = [*simulated.printed(), *simulated.skewed(), *simulated.rejected()]
  for row in rows:
    assert page.count(f'| {row.name} | {row.law} |') == 1
  assert f'| {" | ".join(map(str, simulated.SEEDS))} |' in page
