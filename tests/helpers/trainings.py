"""Made-up trainings for the paper's statements, each true or false at will."""

import dataclasses
import itertools

import numpy as np

from experiments.glorot2010 import runs, table_1
from initlab import claims
from initlab.experiment import Outcome
from initlab.instruments import learning

_SEEDS = 10
_RATES = (0.001, 0.01, 0.1, 1.0)
BETTER = {'Tanh': 0.6}


def outcome(
  row='Tanh',
  rate=0.1,
  steps=(0, 6000),
  widths=(8,) * 5,
  spread=0.01,
  **measured,
):
  """One setting; what is measured spreads over seeds by a share of itself."""
  activation, init = table_1.ROWS[row]
  rng = np.random.default_rng(0)
  noise = lambda x: (
    np.asarray(x) * (1 + spread * rng.standard_normal((_SEEDS, *np.shape(x))))
  )
  return Outcome(
    config=dataclasses.replace(
      learning.Config(dataset='shapeset', test_size=1000),
      activation=activation,
      init=init,
      learning_rate=rate,
      widths=widths,
    ),
    label=f'{row}, learning_rate {rate}',
    seeds=np.arange(_SEEDS),
    measured={name: noise(value) for name, value in measured.items()},
    predicted={'prior': 2.086},
    steps=steps,
  )


def study(errors=None, costs=None, rates=_RATES, steps=(0, 6000), spread=0.01):
  """All rows at some rates, of which 0.1 is the best."""
  errors = {'Tanh': 0.82, 'Sigmoid': 0.83} | (errors or {})
  costs = {'Tanh': 2.12, 'Sigmoid': 2.12} | (costs or {})
  return [
    outcome(
      row,
      rate,
      steps,
      spread=spread,
      final_valid_error=errors.get(row, 0.7) + 0.1 * (rate != 0.1),
      final_error=errors.get(row, 0.7) + 0.1 * (rate != 0.1),
      final_loss=costs.get(row, 1.7),
      error=[0.9, errors.get(row, 0.7)],
    )
    for row, rate in itertools.product(table_1.ROWS, rates)
  ]


def depths(four=0.5, five=0.8, steps=(0, runs.LONG)):
  """Sigmoid networks of four and of five hidden layers, with these errors."""
  return [
    outcome(
      'Sigmoid',
      steps=steps,
      widths=(8,) * depth,
      final_error=error,
      final_valid_error=error,
    )
    for depth, error in ((4, four), (5, five))
  ]


def curvature(scaled=0.7, normalized=0.6):
  """Tanh by every optimizer, with both kinds of weights.

  Args:
    scaled: error with rates by gradient variance and standard weights; by the
      Hessian it is 0.8, as that of plain gradient descent.
    normalized: error of plain gradient descent with normalized weights.
  """
  errors = {
    ('sgd', 'Tanh'): 0.8,
    ('sgd', 'Tanh N'): normalized,
    ('rmsprop', 'Tanh'): scaled,
    ('rmsprop', 'Tanh N'): 0.5,
    ('curvature', 'Tanh'): 0.8,
    ('curvature', 'Tanh N'): 0.5,
  }
  settings = []
  for (optimizer, row), error in errors.items():
    one = outcome(row, final_error=error, final_valid_error=error)
    config = dataclasses.replace(one.config, optimizer=optimizer)
    settings.append(one._replace(config=config))
  return settings


def holds(claim, outcomes):
  """Whether a claim holds; it must have evidence."""
  (found,) = claims.findings([claim], outcomes)
  assert found.evidence
  return found.holds
