"""A bias of -10: sparse units, and hardly a gradient."""

import dataclasses

import jax
import numpy as np
import pytest

from experiments import sparsity
from initlab import base, claims, keys

_SEEDS = 16


def _outcome(bias, **changed):
  """A setting with a mean activation that scatters by a hundredth."""
  mean = 0.5 if bias == 0 else 6e-5
  noise = 1 + 0.01 * np.linspace(-1, 1, _SEEDS)
  measured = {
    'mean_activation': mean * noise,
    'active': np.full(_SEEDS, 0.99 if bias == 0 else 0.0),
    'gradient_norm': (0.4 if bias == 0 else 1e-4) * noise,
  }
  config = sparsity.Config(bias=bias)
  predicted = {'mean_activation': np.array(mean)}
  seeds = np.arange(_SEEDS)
  return base.Outcome(
    config, f'bias {bias}', seeds, measured | changed, predicted
  )


def _found(outcomes):
  return [each.holds for each in claims.findings(sparsity.CLAIMS, outcomes)]


def test_the_claims_hold_of_what_they_describe():
  assert _found([_outcome(0.0), _outcome(-10.0)]) == [True, True]


@pytest.mark.parametrize(
  ('changed', 'holds'),
  [
    ({'mean_activation': np.full(_SEEDS, 2e-4)}, [False, True]),
    ({'mean_activation': np.full(_SEEDS, 5e-5)}, [False, True]),
    ({'active': np.full(_SEEDS, 0.01)}, [False, True]),
    ({'gradient_norm': np.full(_SEEDS, 0.1)}, [True, False]),
  ],
)
def test_what_is_otherwise_is_refused(changed, holds):
  assert _found([_outcome(0.0), _outcome(-10.0, **changed)]) == holds


def test_other_settings_are_not_tested():
  assert _found([_outcome(0.0)]) == [None, None]
  relu = _outcome(-10.0)
  config = dataclasses.replace(relu.config, activation='relu')
  assert _found([_outcome(0.0), relu._replace(config=config)]) == [None, None]


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
  assert _found(outcomes) == [True, True]
