"""Declared laws: what their text means, and what is refused."""

import math

import pytest

from initlab import base, kernels
from initlab.models import expected
from initlab.models.expected import Fans


@pytest.mark.parametrize(
  ('text', 'square', 'largest'),
  [
    ('normal(.02)', 0.02**2, math.inf),
    ('normal(.02/sqrt(2*L))', 0.02**2 / 16, math.inf),
    ('normal(sqrt(2/(n_in+n_out)))', 2 / 96, math.inf),
    ('uniform(-(-.3))', 0.03, 0.3),
    ('truncated_normal(1e-2)', 1e-4, 0.02 / kernels.TRUNCATED_STD),
    ('orthogonal(2)', 4 / 64, math.inf),
    ('variance(1 / n_in - 1 / n_in / 2)', 1 / 128, math.inf),
    ('he_normal', 2 / 64, math.inf),
    ('glorot_uniform:gain=2', 4 * 2 / 96, 2 * (6 / 96) ** 0.5),
  ],
)
def test_a_law_has_the_numbers_of_its_text(text, square, largest):
  law = expected.declared(text, Fans(n_in=64, n_out=32, L=8))
  assert law.mean == 0
  # A few roundings of float64.
  assert law.square == pytest.approx(square, rel=1e-14)
  assert law.largest == pytest.approx(largest, rel=1e-14)


@pytest.mark.parametrize(
  ('text', 'says'),
  [
    ('gaussian(.02)', 'normal'),
    ('normal', 'one number'),
    ('normal(.02', 'one number'),
    ('normal()', 'no formula'),
    ('normal(2 **', 'one number'),
    ('normal(2 ** 3)', 'no formula of numbers'),
    ('normal(d)', 'n_in, n_out, L'),
    ('normal(__import__("os"))', 'no formula of numbers'),
    ('normal(True)', 'no formula of numbers'),
    ('normal(1/0)', 'division by zero'),
    ('normal(sqrt(-1))', 'sqrt'),
    ('normal(.02/sqrt(L))', 'not stacked for a loop'),
  ],
)
def test_what_is_no_law_is_refused(text, says):
  with pytest.raises(base.UserError) as error:
    expected.declared(text, Fans(64, 32))
  assert says in str(error.value)


def test_the_first_pattern_that_a_leaf_matches_tells_its_law():
  laws = {'*/out/kernel': 'normal(.01)', '*/kernel': 'normal(.02)'}
  leaves = ('a/out/kernel', 'a/in/kernel', 'a/bias')
  assert expected.matches(laws, leaves) == {
    'a/out/kernel': 'normal(.01)',
    'a/in/kernel': 'normal(.02)',
  }


def test_a_pattern_of_no_leaf_is_refused():
  with pytest.raises(base.UserError, match=r"'\*/c_proj/kernel'.*a/kernel"):
    expected.matches({'*/c_proj/kernel': 'normal(.02)'}, ('a/kernel',))


def test_laws_are_read_from_a_file(tmp_path):
  path = tmp_path / 'laws.toml'
  path.write_text('"*/kernel" = "normal(.02)"\n', 'utf-8')
  assert expected.read(path) == {'*/kernel': 'normal(.02)'}
  assert expected.read(str(path)) == {'*/kernel': 'normal(.02)'}


@pytest.mark.parametrize('text', ['"a" = 0.02', '[a]\nb = "c"', 'no toml'])
def test_a_file_of_something_else_is_refused(tmp_path, text):
  path = tmp_path / 'laws.toml'
  path.write_text(text, 'utf-8')
  with pytest.raises(base.UserError):
    expected.read(path)


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(base.UserError, match='nowhere'):
    expected.read(tmp_path / 'nowhere.toml')
