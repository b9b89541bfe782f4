"""Every program is one for GPUs and TPUs, too; none of them is needed here."""

import jax
import numpy as np
import pytest

from initlab import keys, training
from initlab.engine import sizing
from initlab.experiment import axes_of
from initlab.instruments import model_learning
from tests.helpers import programs

_COMPILED = {
  name: module.EXPERIMENT
  for name, module in programs.modules().items()
  if hasattr(module, 'EXPERIMENT') and module.EXPERIMENT.compiled
} | {'learning --model': model_learning.EXPERIMENT}

# One of each kind of program; the others are lowered with the slow tests.
_KINDS = (
  'variance',
  'learning',
  'learning --model',
  'glorot2010.equations',
  'lectures.saddle',
  'atlas.norm_placing',
)


def _names():
  assert set(_KINDS) <= set(_COMPILED)
  return [
    name if name in _KINDS else pytest.param(name, marks=pytest.mark.slow)
    for name in _COMPILED
  ]


@pytest.mark.parametrize('name', _names())
def test_a_run_lowers_for_every_backend(name, tmp_path):
  """What one seed computes, from its key to a Result without a seed axis."""
  experiment = _COMPILED[name]
  config = experiment.smoke
  data = experiment.load(config, str(tmp_path))

  def run(seed, data):
    key = keys.at(keys.root(0), seed)
    return training.run(experiment, config, key, data)

  platforms = ('cpu', 'cuda', 'tpu')
  with sizing.arithmetic(experiment):
    traced = jax.jit(run).trace(np.uint32(3), data)
    text = traced.lower(lowering_platforms=platforms).as_text()
  assert isinstance(traced.out_info, experiment.result)
  for field, axes in axes_of(experiment.result).items():
    assert len(getattr(traced.out_info, field).shape) == len(axes), field
  assert 'func.func public @main' in text
