"""A data set of anybody's: arrays, and functions that return them."""

import numpy as np
import pytest

from initlab import base, datasets, own_data
from initlab.experiment import written
from initlab.instruments import variance

_X = np.arange(48.0).reshape(12, 2, 2)
_Y = np.arange(12) % 3


def test_one_pair_is_split_once_and_for_all():
  """Sixths of 12 examples: 2, 2 and 8, every example in one of them."""
  mine = own_data.of_arrays((_X, _Y))
  found = datasets.resolve(mine)
  assert (found.input_size, found.num_classes, found.draw) == (4, 3, None)
  parts = [found.split(name, None, '') for name in datasets.SPLITS]
  assert [len(part.y) for part in parts] == [8, 2, 2]
  x = np.concatenate([np.asarray(part.x) for part in parts])
  y = np.concatenate([np.asarray(part.y) for part in parts])
  order = np.argsort(x[:, 0])
  np.testing.assert_array_equal(x[order], _X.reshape(12, 4))
  np.testing.assert_array_equal(y[order], _Y)
  assert not np.array_equal(y, _Y)  # shuffled
  again = datasets.resolve(own_data.of_arrays((_X.copy(), _Y))).split
  np.testing.assert_array_equal(again('test', 1, '').x, parts[2].x[:1])


def test_splits_of_ones_own_are_kept():
  mine = own_data.of_arrays({'test': (_X, _Y), 'train': (_X[:3], _Y[:3])})
  found = datasets.resolve(mine)
  np.testing.assert_array_equal(found.split('test', 5, '').y, _Y[:5])
  assert len(found.split('train', None, '').y) == 3
  with pytest.raises(base.UserError, match="no split 'valid', only"):
    found.split('valid', None, '')


def test_arrays_are_named_by_their_bytes():
  one = own_data.of_arrays((_X, _Y))
  assert one == own_data.of_arrays((_X.copy(), list(_Y)))
  other = _X.copy()
  other[3, 1, 1] += 1e-3
  assert own_data.of_arrays((other, _Y)) != one
  assert own_data.of_arrays({'test': (_X, _Y)}) != one


def test_arrays_are_copied():
  x = _X.copy()
  mine = own_data.of_arrays({'test': (x, _Y)})
  x[:] = 0
  np.testing.assert_array_equal(mine()['test'][0], _X.reshape(12, 4))


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (_X, r'a pair \(x, y\)'),
    (([1.0, 2.0], [0, 1]), r'shape \(2,\), not \[examples, inputs\]'),
    ((_X * np.nan, _Y), 'not finite'),
    ((_X, _Y / 2), 'float64'),
    ((_X, _Y[:3]), 'each of the 12 examples'),
    ((_X, _Y - 1), 'from 0'),
    ((_X[:5], _Y[:5]), '5 examples, of at least 6'),
    ({'holdout': (_X, _Y)}, "unknown split 'holdout'"),
    ({}, 'some of train, valid, test'),
    ({'test': (_X, _Y), 'train': (_X[:, 0], _Y)}, '4 and 2|2 and 4'),
  ],
)
def test_what_is_no_data_set_is_told(content, message):
  with pytest.raises(base.UserError, match=message):
    datasets.resolve(lambda: content)


def test_a_function_that_needs_arguments_is_told():
  with pytest.raises(base.UserError, match='without arguments'):
    datasets.resolve(lambda n: n)


def test_a_dotted_path_is_a_data_set(tmp_path, monkeypatch):
  code = 'def mine():\n  return [[float(i)] for i in range(6)], [0, 1] * 3\n'
  (tmp_path / 'pathed.py').write_text(code)
  monkeypatch.syspath_prepend(tmp_path)
  config = variance.Config(dataset='pathed.mine', examples=1)
  assert config.layer_widths() == (1, *(1000,) * 5, 2)
  assert written(config.dataset) == 'pathed.mine'
  assert variance.load(config, '').x.shape == (1, 1)
