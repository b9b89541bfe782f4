"""A bias of -10: sparse units, and hardly a gradient."""

import jax
import numpy as np
import pytest

from experiments.lectures import negative_bias
from initlab import base, claims, keys
from initlab.experiment import Outcome


def test_two_hidden_layers_are_refused():
  with pytest.raises(base.UserError, match='one hidden layer'):
    negative_bias.Config(widths=(3, 3))


@pytest.mark.slow
def test_the_lecture_at_its_own_size():
  """Ten seeds with and without the bias, as the program runs them."""
  outcomes = []
  for bias in (0.0, -10.0):
    config = negative_bias.Config(bias=bias)
    batch = negative_bias.load(config, '')
    run = lambda seed, config=config, batch=batch: negative_bias.run(
      config, keys.at(keys.root(0), seed), batch
    )
    result = jax.jit(jax.vmap(run))(np.arange(10, dtype=np.uint32))
    measured = {name: np.asarray(x) for name, x in result._asdict().items()}
    predicted = negative_bias.predict(config, batch)
    outcomes.append(Outcome(config, '', np.arange(10), measured, predicted))
  found = claims.findings(negative_bias.EXPERIMENT.claims, outcomes)
  assert [each.holds for each in found] == [True, True]
