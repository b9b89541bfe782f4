"""Requirements of claims of Glorot & Bengio 2010 on a run of `learning`."""

import numpy as np

from initlab import claims
from initlab.experiment import Outcome

# Updates; the paper has 5 million. What it says of the end of training is not
# tested by a run of less.
LONG = 1_000_000


def hidden(outcome: Outcome, field: str) -> np.ndarray:
  """A PerStepLayer field without the output layer, `[S, T, L - 1]`."""
  return outcome.measured[field][:, :, :-1]


def require_long(outcome: Outcome, why: str) -> None:
  """Refuses a run that is too short for the end of training.

  Raises:
    Untested: it has less than LONG updates.
  """
  steps = outcome.steps[-1]
  if steps < LONG:
    raise claims.Untested(f'{steps} updates are too few: {why}')


def require_learning(tanh: Outcome, so_far: str) -> None:
  """Refuses a run in which the tanh network has learned nothing.

  Raises:
    Untested: the interval of its loss does not lie below that of a constant
      answer.
  """
  loss = claims.mean(tanh.measured['final_loss'])
  if not loss.high < tanh.predicted['prior']:
    raise claims.Untested(
      'tanh with standard weights is on the plateau of the class prior, with a '
      f'test loss of {loss} nats after {tanh.steps[-1]} updates; so far '
      f'{so_far}'
    )
