"""The comparison of stored rows sees one bit."""

import dataclasses
import sys
from typing import NamedTuple

import compare_rows
import numpy as np
import pytest

from initlab.engine import store
from initlab.experiment import PerLayer, knob


@dataclasses.dataclass(frozen=True)
class _Config:
  init: str = knob('glorot', 'the scheme that draws')


class _Result(NamedTuple):
  std: PerLayer


def _stored(folder, values, init='glorot'):
  setting = store.open_setting(
    folder, 'it', init, _Config(init), {}, _Result, block=4, environment={}
  )
  store.write(setting, np.arange(2), _Result(np.asarray(values, np.float32)))
  return folder / 'it'


def _status(monkeypatch, *folders):
  monkeypatch.setattr(sys, 'argv', ['compare_rows', *map(str, folders)])
  with pytest.raises(SystemExit) as exit_:
    compare_rows.main()
  return exit_.value.code


def test_one_bit_is_a_difference(tmp_path, monkeypatch, capsys):
  values = np.array([[1.0, np.nan], [2.0, 3.0]], np.float32)
  old = _stored(tmp_path / 'old', values)
  assert _status(monkeypatch, old, _stored(tmp_path / 'new', values)) == 0
  assert '1 fields equal in 4 rows' in capsys.readouterr().out
  values[1, 1] = np.nextafter(values[1, 1], 4)
  assert _status(monkeypatch, old, _stored(tmp_path / 'other', values)) == 1
  assert 'std differs in 1 rows' in capsys.readouterr().out


def test_without_a_common_setting_nothing_is_said_to_be_equal(
  tmp_path, monkeypatch
):
  one = _stored(tmp_path / 'one', np.ones((2, 2)))
  other = _stored(tmp_path / 'two', np.ones((2, 2)), init='he')
  assert _status(monkeypatch, one, other) == 2
