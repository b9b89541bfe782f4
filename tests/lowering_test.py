"""Every program is one for GPUs and TPUs, too; none of them is needed here."""

import jax
import numpy as np
import pytest

from initlab import keys
from initlab.engine import study
from tests.helpers import programs

_COMPILED = {
  name: module.EXPERIMENT
  for name, module in programs.modules().items()
  if hasattr(module, 'EXPERIMENT') and module.EXPERIMENT.compiled
}


@pytest.mark.parametrize('name', _COMPILED)
def test_a_run_lowers_for_every_backend(name, tmp_path):
  """What one seed computes, from its key to its result."""
  experiment = _COMPILED[name]
  config = experiment.smoke
  data = experiment.load(config, str(tmp_path))

  def run(seed, data):
    return experiment.run(config, keys.at(keys.root(0), seed), data)

  platforms = ('cpu', 'cuda', 'tpu')
  with study.arithmetic(experiment):
    traced = jax.jit(run).trace(np.uint32(3), data)
    text = traced.lower(lowering_platforms=platforms).as_text()
  assert 'func.func public @main' in text
