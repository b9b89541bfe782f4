"""What pages of transformers that learn a language share.

Their Configs have a `language()`, a `loss(params, sequences)`, an `optimizer()`
and `steps`; their Results have a `mean_loss`, of 256 sequences that were not
trained on.
"""

from collections.abc import Callable
from typing import Any

from initlab import keys, minibatches, stats, training
from initlab.models import languages

_TEST = 256  # sequences


def load(config: Any, data_dir: str) -> languages.Sequences:
  """The sequences of the test."""
  del data_dir
  return config.language().draw(keys.stream(keys.root(0), 'test'), _TEST)


def training_of(result: type, batch_size: Callable[[Any], int]) -> Any:
  """Trains on fresh sequences in every step; the result is of the last.

  Args:
    result: the page's Result.
    batch_size: of a Config, how many sequences a step has.
  """

  def examples(config, key, data):
    del data
    draw = config.language().draw
    return minibatches.generated(
      keys.stream(key, 'data'), draw, batch_size(config)
    )

  def record(config, network, data, kept):
    del kept
    return {'mean_loss': config.loss(network.params, data)}

  return training.of_networks(
    result,
    record,
    objective=lambda config: config.loss,
    optimizer=lambda config: config.optimizer(),
    examples=examples,
    every=lambda config: config.steps,
  )


def verdict(outcome: Any) -> list[str]:
  """The loss after the last step."""
  loss = stats.average(outcome, 'mean_loss')
  return [f'test loss {loss} after {outcome.config.steps} steps']
