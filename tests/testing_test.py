"""The public check of an initializer: its layouts, causes and report."""

import jax
import pytest

from initlab import base, initializers, testing

_glorot = jax.nn.initializers.glorot_uniform
_he = jax.nn.initializers.he_uniform


def test_a_right_initializer_gets_a_report():
  report = testing.check_initializer(
    _glorot(), 'glorot', (128, 64), draws=2**15
  )
  assert report.law == base.Law('uniform', 2 / 192)
  assert (report.fans, report.keys, report.entries) == ((128, 64), 4, 2**15)
  # Mean, variance, distribution; three pairings along each of three axes, but
  # with four keys 'the other neighbours' are one pair and none is left out.
  assert report.tests['independence'] == 9
  assert report.false_alarm == pytest.approx(12 * testing.ALPHA)
  assert 'fails with a probability below 1e-09' in str(report)
  assert 'n_in = 128, n_out = 64: passed' in str(report)


@pytest.mark.parametrize(
  ('shape', 'axes'),
  [
    ((3, 3, 16, 32), {'in_axis': -2, 'out_axis': -1}),  # Flax, Keras
    ((32, 16, 3, 3), {'in_axis': 1, 'out_axis': 0}),  # PyTorch
  ],
)
def test_any_layout_of_a_convolution(shape, axes):
  check = testing.check_initializer
  right = check(_he(**axes), 'he_uniform', shape, draws=2**15, **axes)
  assert right.fans == (144, 288)
  with pytest.raises(AssertionError, match='the fans may be swapped'):
    swapped = {'in_axis': axes['out_axis'], 'out_axis': axes['in_axis']}
    check(_he(**swapped), 'he_uniform', shape, draws=2**15, **axes)
  with pytest.raises(base.UserError, match='ambiguous'):
    check(_he(**axes), 'he_uniform', shape)


@pytest.mark.parametrize(
  ('initializer', 'law', 'cause'),
  [
    (_he(), 'lecun_uniform', 'a gain of sqrt.2.'),
    (initializers.uniform(64**-0.5), 'lecun_uniform', 'the half-width'),
    (jax.nn.initializers.normal(1 / 64), 'lecun_normal', 'Var.w.: a variance'),
    (initializers.haiku(), 'flax', '0.774: what the cut'),
    (
      _glorot(),
      lambda n, m: base.Law('uniform', 1 / n),
      'the mean of the fans',
    ),
  ],
)
def test_a_factor_with_a_known_cause_is_named(initializer, law, cause):
  with pytest.raises(AssertionError, match=f'(?s)^.*variance: .*{cause}'):
    testing.check_initializer(initializer, law, (64, 160), draws=2**17)


def test_another_shape_is_named():
  with pytest.raises(AssertionError, match=r'shape: \(3,\) where \(4, 2\)'):
    testing.check_initializer(
      lambda key, shape, dtype: initializers.ones()(key, (3,), dtype),
      'ones',
      (4, 2),
    )
