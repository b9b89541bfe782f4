"""Formats the estimates of all reports, and the numbers in cells of tables.

Nothing else rounds these. What a sentence tells without an interval, such as a
share of units, it rounds itself.
"""

from collections.abc import Sequence
import decimal
import fractions
import math

import numpy as np

_SCALES = {'': 1, '%': 100}
_SIGNIFICANT = 4  # digits of a number without an interval
_MOST = 6  # digits of one with an interval, which float32 has


def number(value: float, unit: str = '') -> str:
  """A number without an interval, to four digits; a dash for NaN.

  Args:
    value: any.
    unit: '%' to print a share as a percentage.

  Examples:
    >>> number(0.0734124), number(0.0734124, '%'), number(np.nan)
    ('0.07341', '7.341%', '-')
  """
  if not np.isfinite(value):
    return '-' if np.isnan(value) else f'{value}'
  return f'{value * _SCALES[unit]:.{_SIGNIFICANT}g}{unit}'


def interval(value: float, low: float, high: float, unit: str = '') -> str:
  """A value with the ends of its interval; a dash for NaN.

  The interval determines the digits: its width has two, but no end has more
  than six. The low end is rounded down and the high end up, so the printed
  interval contains the computed one; the value is rounded to the same digit.

  Args:
    value: the estimate.
    low: lower end of its interval, NaN for none.
    high: upper end.
    unit: '%' to print shares as percentages.

  Examples:
    >>> interval(0.07341, 0.07328, 0.07353)
    '0.07341 [0.07328, 0.07353]'
    >>> interval(7.350e-6, 7.3051e-6, 7.3949e-6)
    '7.350e-06 [7.305e-06, 7.395e-06]'
    >>> interval(0.07341, np.nan, np.nan, '%')
    '7.341%'
  """
  if not np.isfinite(value) or np.isnan(low) or np.isnan(high):
    return number(value, unit)
  # Shortest decimals that round to these floats, so that 0.07 is exactly 7%.
  exact = [
    fractions.Fraction(repr(each)) * _SCALES[unit]
    if np.isfinite(each)
    else None
    for each in (value, low, high)
  ]
  size, last = _digits([each for each in exact if each is not None])
  step = fractions.Fraction(10) ** last
  texts = [
    number(end, unit)
    if each is None
    else _written(rounded(each / step), last, size) + unit
    for end, each, rounded in zip(
      (value, low, high), exact, (round, math.floor, math.ceil), strict=True
    )
  ]
  return f'{texts[0]} [{texts[1]}, {texts[2]}]'


def _digits(numbers: Sequence[fractions.Fraction]) -> tuple[int, int]:
  """Powers of ten of the largest number's first digit and of the last printed.

  The last is the second digit of the width, at most the sixth of the largest
  number; without a width, the fourth. Without an exponent, all digits before
  the decimal point are printed.
  """
  if not any(numbers):
    return 0, 0
  size = _power(max(map(abs, numbers)))
  width = max(numbers) - min(numbers)
  last = _power(width) - 1 if width else size + 1 - _SIGNIFICANT
  last = max(last, size + 1 - _MOST)
  return size, min(last, 0) if -4 < size < 5 else last


def _power(number: fractions.Fraction) -> int:
  """The power of ten of the first digit; 0 for 0."""
  if not number:
    return 0
  power = math.floor(math.log10(number))
  # The logarithm is rounded: near a power of ten it may be on its other side.
  power += (number >= fractions.Fraction(10) ** (power + 1)) - (
    number < fractions.Fraction(10) ** power
  )
  return power


def _written(count: int, last: int, size: int) -> str:
  """`count` 10^last, in the notation of numbers of size 10^size."""
  if -4 < size < 5:
    return f'{decimal.Decimal(count).scaleb(last):f}'
  return f'{decimal.Decimal(count).scaleb(last - size):f}e{size:+03d}'


def p_value(p: float) -> str:
  """A p-value to two digits; a dash for NaN."""
  return f'{p:.2g}' if np.isfinite(p) else '-'
