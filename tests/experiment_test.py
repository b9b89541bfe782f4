"""A Config's knobs are of their types, in Python as on the command line."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base
from initlab.experiment import config, knob


@config
class _Config:
  rate: float = knob(0.1, 'the learning rate', above=0, traced=True)
  flat: float = knob(0.1, 'not traced')
  steps: int = knob(10, 'how many steps are taken', least=1)
  widths: tuple[int, ...] = knob((3, 2), 'the widths', least=1)
  fast: bool = knob(False, 'whether it is fast')
  word: str = knob('a', 'a word of any kind')
  other: int | None = knob(None, 'of no type that is checked')


@pytest.mark.parametrize(
  'knobs',
  [
    {'rate': '0.1'},
    {'rate': None},
    {'flat': True},
    {'flat': jnp.float32(0.1)},
    {'steps': 3.0},
    {'steps': np.float64(3)},
    {'widths': 8},
    {'widths': (8, 'x')},
    {'widths': ((8, 8), 8)},
    {'fast': 1},
    {'word': 1},
  ],
)
def test_a_knob_of_another_type_is_refused(knobs):
  (name,) = knobs
  with pytest.raises(base.UserError, match=f'--{name}=.*: it takes'):
    _Config(**knobs)


def test_numbers_of_numpy_are_those_of_python():
  found = _Config(
    rate=np.float32(0.5),
    flat=2,
    steps=np.int64(3),
    widths=(np.uint8(4), 5),
    fast=np.True_,
    other=7,
  )
  assert found == _Config(0.5, 2, 3, (4, 5), True, 'a', 7)
  assert type(found.rate) is float and type(found.steps) is int
  assert list(map(type, found.widths)) == [int, int] and found.fast is True


def test_a_traced_knob_may_be_traced():
  def doubled(config):
    return dataclasses.replace(config, rate=2 * config.rate)

  assert jax.jit(doubled)(_Config()).rate == np.float32(0.2)
  assert jax.tree.map(lambda leaf: None, _Config()).rate is None
