"""A model's own law, from rows that are written down."""

import pytest

from initlab.models import own_law
from initlab.models.own_law import Row


def _row(leaf, std, n_in=64, n_out=64, role='inner', depth=1, reads=0):
  return Row(leaf, leaf, role, n_in, n_out, depth, std**2, reads)


def _found(rows):
  law = own_law.fit(rows)
  assert law is not None
  return law, {
    each.row.leaf: each.factor for each in own_law.outliers(law, rows)
  }


_GPT2 = [
  _row('embed', 0.02, 1, 64, role='embedding'),
  _row('q', 0.02, reads=1),
  _row('k', 0.02, reads=1),
  _row('v', 0.02, reads=1),
  _row('out', 0.02 / 2**0.5, role='output'),
  _row('up', 0.02, 64, 256, reads=2),
  _row('down', 0.02 / 2**0.5, 256, 64, role='output'),
  _row('readout', 0.02, 64, 40, role='readout'),
]


def test_a_fixed_standard_deviation_is_seen_in_different_fans():
  law, found = _found(_GPT2)
  assert law.form == 'fixed'
  assert law.constant**0.5 == pytest.approx(0.02)
  assert law.output == pytest.approx(0.02**2 / 2)
  assert not found
  assert law.followers == law.rows == len(_GPT2)


def test_of_equal_fans_the_law_is_of_the_fan():
  law, found = _found([_row(name, 1 / 8) for name in 'abc'])
  assert law.form == 'fan_in'
  assert law.constant == pytest.approx(1)
  assert not found


@pytest.mark.parametrize(
  ('form', 'variance'),
  [
    ('fan_in', lambda n, m: 2 / n),
    ('fan_avg', lambda n, m: 2 / (n + m)),
    ('fan_out', lambda n, m: 1 / m),
  ],
)
def test_a_law_of_fans_is_told_from_the_others(form, variance):
  fans = [(16, 64), (64, 48), (48, 256), (256, 10)]
  rows = [
    _row(str(n), variance(n, m) ** 0.5, n, m, role='hidden') for n, m in fans
  ]
  law, found = _found(rows)
  assert law.form == form
  assert not found


def test_an_exception_is_named_with_its_factor_and_siblings():
  rows = [
    row._replace(square=(4 * 0.02) ** 2) if row.leaf == 'k' else row
    for row in _GPT2
  ]
  law = own_law.fit(rows)
  (outlier,) = own_law.outliers(law, rows)
  assert outlier.row.leaf == 'k'
  assert outlier.factor == pytest.approx(4)
  assert outlier.siblings == ('q', 'v')


def test_a_fellow_that_departs_as_well_is_no_witness():
  rows = [
    row._replace(square=(20 * 0.02) ** 2) if row.leaf in 'kv' else row
    for row in _GPT2
  ]
  found = own_law.outliers(own_law.fit(rows), rows)
  assert {each.row.leaf: each.siblings for each in found} == {
    'k': ('q',),
    'v': ('q',),
  }


def test_an_exception_within_a_factor_of_two_is_none():
  rows = [*_GPT2, _row('position', 0.01, 1, 64, role='embedding')]
  assert not _found(rows)[1]


def test_the_majority_is_wrong_where_a_recipe_says_so():
  rows = [
    _row('first', 8**-0.5, 8, role='input'),
    *[_row(f'hidden_{i}', 1 / 32, role='hidden') for i in range(5)],
    _row('last', 1 / 8, 64, 4, role='readout'),
  ]
  law, found = _found(rows)
  assert law.constant == pytest.approx(1)
  assert list(found) == [f'hidden_{i}' for i in range(5)]
  assert list(found.values()) == pytest.approx([1 / 4] * 5)


@pytest.mark.parametrize(
  ('std', 'blamed'), [(1.0, False), (1 / 8, False), (0.6, True), (0.001, False)]
)
def test_an_embedding_is_blamed_if_no_recipe_knows_it(std, blamed):
  rows = [row for row in _GPT2 if row.leaf != 'embed']
  rows.append(_row('embed', std, 1, 64, role='embedding'))
  assert bool(_found(rows)[1]) == blamed


@pytest.mark.parametrize(
  ('std', 'blamed'), [(0.0, False), (0.0001, False), (1 / 8, False), (1, True)]
)
def test_a_readout_may_be_small_but_not_large(std, blamed):
  rows = [row for row in _GPT2 if row.leaf != 'readout']
  rows.append(_row('readout', std, 64, 40, role='readout'))
  assert bool(_found(rows)[1]) == blamed


def test_an_output_that_is_scaled_twice_is_blamed_not_its_fellow():
  layers = 8
  rows = []
  for layer in range(1, layers + 1):
    once = 0.02 / (2 * layers) ** 0.5
    rows += [
      _row('embed', 0.02, 1, 64, role='embedding'),
      _row('q', 0.02, depth=layer),
      _row('out', once, role='output', depth=layer),
      _row('up', 0.02, 64, 256, depth=layer),
      _row('down', once / 4, 256, 64, role='output', depth=layer),
    ]
  assert set(_found(rows)[1]) == {'down'}


def test_outputs_may_fall_with_their_layer():
  rows = []
  for layer in range(1, 13):
    rows += [
      _row('up', 0.02, 64, 256, depth=layer),
      _row('gate', 0.02, 64, 256, depth=layer),
      _row('out', 0.02 / layer**0.5, role='output', depth=layer),
      _row('down', 0.02 / layer**0.5, 256, 64, role='output', depth=layer),
    ]
  law, found = _found(rows)
  assert law.by_depth
  assert not found


def test_branches_may_have_a_gain_of_their_own():
  rows = [
    _row('first', 2**0.5 / 8, role='input'),
    *[_row(f'w_{i}', 0.25 / 8, role='inner') for i in range(16)],
    *[_row(f'v_{i}', 0.0, role='output') for i in range(16)],
    _row('last', 0.0, role='readout'),
  ]
  law, found = _found(rows)
  assert law.inner == pytest.approx(1 / 16)
  assert not found


def test_one_constant_is_preferred_to_three():
  # keras-team/keras#22789: by n_out, 13 rows follow laws of three constants; by
  # (n_in + n_out) / 2, 9 rows follow one.
  rows = []
  for layer in range(1, 5):
    rows += [
      _row('q', (2 / 1280) ** 0.5, depth=layer, reads=layer),
      _row('k', (2 / 1280) ** 0.5, depth=layer, reads=layer),
      _row('v', (2 / 1280) ** 0.5, depth=layer, reads=layer),
      _row('out', (2 / 320) ** 0.5, role='output', depth=layer),
      _row('up', (2 / 320) ** 0.5, 64, 256, depth=layer),
      _row('down', (2 / 320) ** 0.5, 256, 64, role='output', depth=layer),
    ]
  rows.append(_row('readout', (2 / 104) ** 0.5, 64, 40, role='readout'))
  law, found = _found(rows)
  assert law.form == 'fan_avg'
  assert set(found) == {'q', 'k', 'v'}


def _branched(v, up):
  """Two branches whose outputs are a third; v and up are of these factors."""
  rows = []
  for layer in range(1, 7):
    attention, mlp = frozenset({f'a{layer}'}), frozenset({f'm{layer}'})
    for leaf, factor, branches, role in (
      ('q', 1, attention, 'inner'),
      ('k', 1, attention, 'inner'),
      ('v', v, attention, 'inner'),
      ('out', 1 / 3, attention, 'output'),
      ('up', up, mlp, 'inner'),
      ('down', 1 / 3, mlp, 'output'),
    ):
      row = _row(leaf, factor / 8, role=role, depth=layer, reads=layer)
      rows.append(row._replace(branches=branches))
  return rows


def test_values_and_feed_forward_may_be_scaled_with_the_outputs():
  assert not _found(_branched(v=1 / 3, up=1 / 3))[1]


def test_one_branch_alone_scaled_with_the_outputs_is_a_mistake():
  assert set(_found(_branched(v=1, up=1 / 3))[1]) == {'up'}


def test_weights_that_share_no_law_have_none():
  rows = [_row(str(n), 2.0**n, role='hidden') for n in range(4)]
  assert own_law.fit(rows) is None
  assert own_law.fit([]) is None
