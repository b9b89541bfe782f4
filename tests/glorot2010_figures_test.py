"""The paper's figures of training: each statement can hold, and can fail."""

import numpy as np
import trainings

from initlab import glorot2010_figures as statements


def _curves(values, steps=(0, 6000), **knobs):
  """`[T, hidden]` of a field, with an output layer added."""
  padded = {k: np.pad(v, ((0, 0), (0, 1))) for k, v in values.items()}
  return trainings.outcome(steps=steps, **knobs, **padded, final_cost=1.5)


def _stuck(outcome):
  """The same on the plateau."""
  costs = np.full(len(outcome.seeds), 2.12)
  return outcome._replace(measured={**outcome.measured, 'final_cost': costs})


def test_figure_2():
  steps = (0, 5000, 5_000_000)

  def sigmoid(early, late, steps=steps):
    means = np.array([[0.5] * 4, early, late])[: len(steps)]
    values = {'activation_mean': means}
    return [_curves(values, steps, row='Sigmoid', widths=(8,) * 4)]

  good = sigmoid([0.55, 0.6, 0.7, 0.02], [0.55, 0.6, 0.7, 0.4])
  bad = sigmoid([0.45, 0.6, 0.58, 0.3], [0.45, 0.6, 0.5, 0.02])
  for name in (claim.name for claim in statements.FIGURE_2):
    assert trainings.holds(statements.FIGURE_2, name, good) is True
    assert trainings.holds(statements.FIGURE_2, name, bad) is False
  short = sigmoid([0.55, 0.6, 0.7, 0.02], [0.0] * 4, steps[:2])
  assert trainings.holds(statements.FIGURE_2, 'figure 2: escape', short) is None


def test_figures_3_and_10():
  steps = (0, 1000, 2_000_000)

  def saturating(row, late):
    edges = np.array([[0.6, 0.4, 0.2], [0.97, 0.8, 0.5], late])
    return _curves({'activation_percentile': edges}, steps, row=row)

  ordered = saturating('Tanh', [0.98, 0.97, 0.6])
  edges = ordered.measured['activation_percentile'][:, :, [2, 1, 0, 3]]
  backward = ordered._replace(measured={'activation_percentile': edges})
  together = [0.7, 0.68, 0.66]
  name = 'figure 3: tanh'
  assert trainings.holds(statements.FIGURE_3, name, [ordered]) is True
  assert trainings.holds(statements.FIGURE_3, name, [backward]) is False
  short = [ordered._replace(steps=(0, 500, 1000))]
  assert trainings.holds(statements.FIGURE_3, name, short) is None
  for group, name, row in (
    (statements.FIGURE_3, 'figure 3: softsign', 'Softsign'),
    (statements.FIGURE_10, 'figure 10', 'Tanh N'),
  ):
    tanh = saturating('Tanh', [0.98, 0.8, 0.5])
    good, bad = saturating(row, together), saturating(row, [0.98, 0.6, 0.2])
    assert trainings.holds(group, name, [tanh, good]) is True
    assert trainings.holds(group, name, [tanh, bad]) is False
    assert trainings.holds(group, name, [_stuck(tanh), good]) is None


def test_figure_4():
  long = (0, 2_000_000)

  def ended(row, values, steps=long):
    sample = np.tile(values, (2, 1)) * np.ones((2, len(values)))
    return [trainings.outcome(row, steps=steps, activation_sample=sample)]

  flat, knees = np.linspace(-0.5, 0.5, 9), np.array([-0.7, 0.7, 0.1])
  edges = np.array([-0.97, 0.97, 0.0, 0.5])
  for name, row, good in (
    ('figure 4: tanh', 'Tanh', edges),
    ('figure 4: softsign', 'Softsign', knees),
  ):
    assert trainings.holds(statements.FIGURE_4, name, ended(row, good)) is True
    assert trainings.holds(statements.FIGURE_4, name, ended(row, flat)) is False
    assert (
      trainings.holds(statements.FIGURE_4, name, ended(row, good, (0, 9)))
      is None
    )


def test_figure_7():
  steps = (0, 500, 1000)

  def tanh(*ratios):
    """Of the first hidden layer over the last, at each record."""
    values = {'gradient_std': np.array([[each, 1.0] for each in ratios])}
    return _curves(values, steps, final_valid_error=0.5)

  holds = lambda *outcomes: trainings.holds(
    statements.FIGURE_7, 'figure 7, then on', outcomes
  )
  assert holds(tanh(0.1, 2.0, 3.0)) is True
  assert holds(tanh(0.1, 0.2, 0.3)) is False
  assert holds(tanh(0.1, 0.1, 3.0)) is False
  assert holds(tanh(2.0, 2.0, 3.0)) is False
  assert holds(tanh(0.1, 1.0, 1.0)) is False
  assert holds(_stuck(tanh(0.1, 0.2, 0.3))) is None
  assert holds(trainings.outcome('Tanh N', final_valid_error=0.5)) is None


def test_figure_9():
  def pair(standard, normalized):
    return [
      _curves({'weight_gradient_std': np.array([[1.0, 1.0], each])}, row=row)
      for row, each in (('Tanh', standard), ('Tanh N', normalized))
    ]

  apart, close = [4.0, 1.0], [1.1, 1.0]
  assert (
    trainings.holds(statements.FIGURE_9, 'figure 9', pair(apart, close)) is True
  )
  assert (
    trainings.holds(statements.FIGURE_9, 'figure 9', pair(close, apart))
    is False
  )
  assert (
    trainings.holds(statements.FIGURE_9, 'figure 9', pair(close, apart)[:1])
    is None
  )
  tanh, normalized = pair(apart, close)
  stuck = [_stuck(tanh), normalized]
  assert trainings.holds(statements.FIGURE_9, 'figure 9', stuck) is None


def test_figure_11():
  assert (
    trainings.holds(statements.FIGURE_11, 'figure 11', trainings.study())
    is True
  )
  assert (
    trainings.holds(
      statements.FIGURE_11,
      'figure 11',
      trainings.study(trainings.BETTER),
    )
    is False
  )
