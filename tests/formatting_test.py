"""Numbers as text: their digits follow the interval, and they keep it."""

import fractions
import re

import numpy as np
import pytest

from initlab import formatting


def _random(count):
  """Estimates over 12 decades, their widths over 10 more, or of no width."""
  rng = np.random.default_rng(0)
  sign = rng.choice([-1.0, 1.0], count)
  value = sign * 10.0 ** rng.uniform(-6, 6, count)
  width = np.abs(value) * 10.0 ** rng.uniform(-8, 2, count)
  width *= rng.random(count) > 0.05
  place = rng.random(count)
  return np.stack([value, value - place * width, value + (1 - place) * width])


def _read(text, unit):
  """The three numbers, exactly, and the last digit that is printed of each."""
  pattern = rf'(\S+){unit} \[(\S+){unit}, (\S+){unit}\]'
  parts = re.fullmatch(pattern, text).groups()
  numbers = [fractions.Fraction(part) for part in parts]
  last = set()
  for part in parts:
    mantissa, _, power = part.partition('e')
    decimals = len(mantissa.partition('.')[2])
    last.add(fractions.Fraction(10) ** (int(power or 0) - decimals))
  assert len(last) == 1, text
  return numbers, last.pop()


@pytest.mark.parametrize(('unit', 'scale'), [('', 1), ('%', 100)])
def test_a_printed_interval_holds_the_computed_one_and_little_more(unit, scale):
  for each in _random(3000).T.tolist():
    text = formatting.interval(*each, unit)
    (value, low, high), step = _read(text, unit)
    exact = [scale * fractions.Fraction(repr(end)) for end in each]
    assert low <= exact[1] and exact[2] <= high
    assert exact[1] - low < step and high - exact[2] < step
    assert abs(value - exact[0]) <= step / 2
    assert low <= value <= high
    assert (low < high) or (exact[1] == exact[2])
    # Two digits of the width, unless the largest number has its six.
    width, largest = exact[2] - exact[1], max(map(abs, exact))
    if width:
      assert step <= width / 10 or step * 10**5 <= largest
    assert step <= 1 or 'e' in text


@pytest.mark.parametrize(
  ('ends', 'text'),
  [
    ((1.0, 1.0, 1.0), '1.000 [1.000, 1.000]'),
    ((0.0, 0.0, 0.0), '0 [0, 0]'),
    ((1.0, 0.99996, 1.00004), '1.00000 [0.99996, 1.00004]'),
    ((0.07, 0.06, 0.09), '0.070 [0.060, 0.090]'),
    ((1 / 3, 1 / 3, 1 / 3), '0.3333 [0.3333, 0.3334]'),
    ((31234.0, 30712.0, 31756.0), '31234 [30712, 31756]'),
    ((99999.6, 99999.2, 100000.4), '1.00000e+05 [0.99999e+05, 1.00001e+05]'),
    ((0.5, 0.25, np.inf), '0.50 [0.25, inf]'),
    ((0.5, np.nan, np.nan), '0.5'),
    ((np.nan, np.nan, np.nan), '-'),
    ((np.inf, 1.0, np.inf), 'inf'),
  ],
)
def test_hard_numbers_are_printed(ends, text):
  assert formatting.interval(*ends) == text


def test_an_unknown_unit_is_refused():
  with pytest.raises(KeyError, match=r'\.2f'):
    formatting.interval(1.0, 0.9, 1.1, '.2f')
