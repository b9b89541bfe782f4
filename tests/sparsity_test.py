"""A bias of -10: sparse units, and hardly a gradient."""

import jax
import numpy as np
import pytest

from experiments import sparsity
from initlab import base, claims, keys


def test_two_hidden_layers_are_refused():
  with pytest.raises(base.UserError, match='one hidden layer'):
    sparsity.Config(widths=(3, 3))


@pytest.mark.slow
def test_the_lecture_at_its_own_size():
  """Ten seeds with and without the bias, as the program runs them."""
  outcomes = []
  for bias in (0.0, -10.0):
    config = sparsity.Config(bias=bias)
    batch = sparsity.load(config, '')
    run = lambda seed, config=config, batch=batch: sparsity.run(
      config, keys.at(keys.root(0), seed), batch
    )
    result = jax.jit(jax.vmap(run))(np.arange(10, dtype=np.uint32))
    measured = {name: np.asarray(x) for name, x in result._asdict().items()}
    predicted = sparsity.predict(config, batch)
    outcomes.append(
      base.Outcome(config, '', np.arange(10), measured, predicted)
    )
  found = claims.findings(sparsity.CLAIMS, outcomes)
  assert [each.holds for each in found] == [True, True]
