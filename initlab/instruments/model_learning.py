"""How well any JAX model learns from its initial weights.

Question:
  How fast and how well does a model learn from its own initialization, and how
  from other schemes, drawn along the axes that the model gives each kernel?
Paper:
  Glorot & Bengio, Understanding the difficulty of training deep feedforward
  neural networks, AISTATS 2010: the question, asked of a model of today.
Run:
  python -m experiments.learning --model=transformer --init=own,he_normal
  python -m experiments.learning --model=my_module:make --seeds=0:32
Takes:
  Under 30 seconds on two CPU cores (8 seeds of 500 steps of the transformer).
Expect:
  The transformer stays near the loss of a model that does not look back, 1.95
  nats, for hundreds of steps, and then learns induction within a few dozen.
"""

import functools
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab import (
  base,
  experiment,
  functions,
  initializers,
  keys,
  minibatches,
  optimizers,
  own_data,
  panels,
  schemes,
  stats,
  training,
)
from initlab.experiment import (
  GEOMETRIC,
  OPTIONAL,
  Outcome,
  PerNetwork,
  PerStep,
  count,
  knob,
)
from initlab.models import examples as lab, made, model as models, redraw


def _init(value: functions.Named) -> functions.Named:
  return value if value == 'own' else schemes.named(value)


@experiment.config
class Config:
  """A model, how it is drawn, and its training."""

  model: functions.Named = knob(
    'transformer',
    'the model: of the lab with its knobs, as transformer:blocks=4, or your '
    'own as my_module:make, where make() returns (init, model, batch): '
    'init(key) -> params; model(params, *batch) -> loss, or (loss, error); '
    'batch a tuple of arrays [N, ...], or a function (key, size) -> tuple of '
    'fresh examples',
    lab.MODELS,
    read=made.named,
  )
  init: functions.Named = knob(
    'own',
    "the scheme that draws the kernels; own for the model's own initialization",
    ('own', *initializers.SCHEMES),
    read=_init,
  )
  select: str = knob(
    'kernels',
    'which leaves --init draws: kernels, all that are multiplied with data, or '
    'a pattern of names, as */out',
  )
  optimizer: str = knob(
    'adam',
    'the optimizer; lbfgs needs --batch_size=0',
    optimizers.OPTIMIZERS,
  )
  learning_rate: float = knob(
    0.003, 'the peak learning rate', above=0, traced=True
  )
  schedule: str = knob(
    'constant', 'the learning-rate schedule', optimizers.SCHEDULES
  )
  batch_size: int = count(
    32,
    'examples per step; 0 for all training examples of a finite batch',
    least=0,
  )
  steps: int = count(500, 'the number of steps')
  record_every: int = count(50, 'steps between records')
  test_size: int = count(
    256,
    'test examples: fresh ones, or of a finite batch, at most a sixth of it',
  )
  valid_size: int = count(
    256, 'validation examples, likewise, for the choice of the learning rate'
  )

  def check(self) -> None:
    """Refuses L-BFGS on minibatches."""
    optimizers.check(self)

  @property
  def convolves(self) -> bool:
    """Whether the model has a convolution."""
    return made.make(self.model).convolves

  def draw(self, key: base.Key) -> Any:
    """Draws the initial parameters.

    Args:
      key: of the seed; the model draws from its stream 'init', a scheme from
        'redraw'.
    """
    return _drawn(self, key)[0]


SMOKE = Config(
  model='transformer:blocks=1:width=8:heads=2:symbols=3:queries=1',
  batch_size=2,
  steps=3,
  record_every=2,
  test_size=2,
  valid_size=2,
)


class Data(NamedTuple):
  """The examples of a training, the arguments of the model beside its params.

  train: all training examples; None if fresh ones are drawn.
  valid: for the choice of settings.
  test: for error and loss.
  """

  train: tuple | None
  valid: tuple
  test: tuple


class Result(NamedTuple):
  """The records; NaN after a seed diverges.

  mean_loss, error: on the test examples; the error is NaN if the model has
    none.
  train_loss: mean of the minibatches since the previous record.
  gradient_norm: of the test loss, over all parameters.
  distance: ||w - w_0|| / ||w_0||, from the initial parameters w_0.
  final_loss, final_error: after the last step.
  final_valid_loss: the final loss on the validation examples.
  """

  mean_loss: PerStep
  error: Annotated[PerStep, OPTIONAL]
  train_loss: PerStep
  gradient_norm: Annotated[PerStep, GEOMETRIC]
  distance: PerStep
  final_loss: PerNetwork
  final_error: Annotated[PerNetwork, OPTIONAL]
  final_valid_loss: PerNetwork


def load(config: Config, data_dir: str) -> Data:
  """The examples; refuses a model that cannot be trained."""
  del data_dir
  with experiment.blaming(config, 'model'):
    model = made.make(config.model)
    data = _data(config, model.batch)
    model.refuse_untrainable(data.test)
  with experiment.blaming(config, 'init', 'select'):
    jax.eval_shape(config.draw, keys.root(0))
  return data


def _data(config: Config, batch: Any) -> Data:
  """Examples of a function, or the parts of a finite batch."""
  if not callable(batch):
    return _split(config, models.batch_of(batch))
  if not config.batch_size:
    raise base.UserError('--batch_size=0: it draws examples without end')
  drawn = lambda key: batch(key, config.batch_size)
  models.shapes_drawn(drawn, 'batch', 'examples')
  key = keys.stream(keys.root(0), 'examples')
  draw = jax.jit(functools.partial(models.batch_of, batch), static_argnums=1)
  valid = draw(keys.stream(key, 'valid'), config.valid_size)
  test = draw(keys.stream(key, 'test'), config.test_size)
  models.refuse_nan(test)
  return Data(None, valid, test)


def _split(config: Config, batch: tuple) -> Data:
  """The parts of a finite batch, those of `own_data`."""
  models.refuse_nan(batch)
  batch = jax.tree.map(jnp.asarray, batch)
  sizes = {x.shape[0] if x.ndim else 0 for x in jax.tree.leaves(batch)}
  if len(sizes) != 1:
    raise base.UserError(
      'the arrays of a batch have examples along their first axes, as many in '
      f'all, not {" and ".join(map(str, sorted(sizes)))}; or batch is a '
      'function (key, size) -> batch of fresh ones'
    )
  places = own_data.places(*sizes)
  cut = lambda place: jax.tree.map(lambda x: x[place], batch)
  return Data(
    cut(places['train']),
    cut(places['valid'][: config.valid_size]),
    cut(places['test'][: config.test_size]),
  )


def _drawn(config: Config, key: base.Key) -> tuple[Any, dict[str, str]]:
  """The parameters, and the selected leaves that no scheme could draw."""
  model = made.make(config.model)
  params = jax.tree.map(jnp.asarray, model.init(keys.stream(key, 'init')))
  if config.init == 'own':
    return params, {}
  every = config.select == 'kernels'
  new = redraw.redraw(
    model.uses,
    params,
    keys.stream(key, 'redraw'),
    config.init if every else None,
    None if every else {config.select: config.init},
  )
  return new.params, new.left


def examples(config: Config, key: base.Key, data: Data) -> minibatches.Examples:
  """The minibatches of a seed."""
  batch = made.make(config.model).batch
  draw = functools.partial(models.batch_of, batch) if callable(batch) else None
  key = keys.stream(key, 'data')
  return minibatches.examples(key, draw, data.train, config.batch_size)


def objective(config: Config) -> training.Objective:
  """The loss of a minibatch."""
  model = made.make(config.model)
  return lambda params, batch: model.evaluate(params, batch)[0]


def record(
  config: Config, network: training.State, data: Data, kept: dict[str, Any]
) -> dict[str, base.Array]:
  """Evaluates one model."""
  evaluate = made.make(config.model).evaluate
  of_test = jax.value_and_grad(evaluate, has_aux=True)
  (loss, error), gradient = of_test(network.params, data.test)
  valid, _ = evaluate(network.params, data.valid)
  moved = jax.tree.map(jnp.subtract, network.params, kept['start'])
  return {
    'mean_loss': loss,
    'error': error,
    'train_loss': network.mean_loss,
    'gradient_norm': _norm(gradient),
    'distance': _norm(moved) / _norm(kept['start']),
    'final_loss': loss,
    'final_error': error,
    'final_valid_loss': valid,
  }


def _norm(tree: Any) -> base.Array:
  """The Euclidean norm of all entries, `[]`."""
  return jnp.sqrt(sum(jnp.sum(x**2) for x in jax.tree.leaves(tree)))


TRAINING = training.of_networks(
  Result,
  record,
  objective=objective,
  optimizer=optimizers.of_config,
  examples=examples,
  before=lambda config, key, params, data: {'start': params},
)


def verdict(outcome: Outcome) -> list[str]:
  """The final test loss and error, and what a scheme left as it was."""
  losses = outcome.measured['final_loss']
  loss, median = stats.mean(losses), stats.median(losses)
  line = (
    f'after {outcome.config.steps} steps, {loss.n} of {loss.total} seeds: test '
    f'loss mean {loss}, median {median}'
  )
  if 'final_error' in outcome.measured:
    errors = outcome.measured['final_error']
    error, median = stats.mean(errors), stats.median(errors)
    line += f'; test error mean {error:%}, median {median:%}'
  left: dict[str, str] = {}
  draw = lambda key: left.update(_drawn(outcome.config, key)[1])
  jax.eval_shape(draw, keys.root(0))
  reasons = [
    f'{name}, left as the model draws it: {left[name]}' for name in left
  ]
  return [line, *reasons]


PANELS = (
  panels.Curves('mean_loss', 'Test loss', 'mean loss'),
  panels.Curves('error', 'Test error', 'mean error'),
  panels.Curves('train_loss', 'Training loss', 'mean loss'),
  panels.Curves(
    'gradient_norm', 'Gradient of the test loss', 'norm of dC/dw', log=True
  ),
  panels.Curves(
    'distance',
    'Distance from the initial parameters',
    '||w - w(0)|| / ||w(0)||',
  ),
  panels.Seeds(
    'final_loss', 'Final test loss, seed by seed', 'final test loss'
  ),
  panels.Best('final_loss', 'The best of several seeds', 'final test loss'),
)


EXPERIMENT = experiment.of_module(
  __name__,
  program=('-m', 'experiments.learning'),
  compared=('final_loss', 'final_error'),
  tuned=('learning_rate', 'final_valid_loss'),
  defaults={'model': 'transformer', 'seeds': '0:8'},
)
