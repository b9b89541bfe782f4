"""Knobs of a network, shared by experiments.

An experiment's Config extends `Network` with knobs of its own:

    @experiment.config
    class Config(networks.Network):
      examples: int = knob(300, 'test examples for the probes', least=1)

The functions below accept any Config with the knobs that they use.
"""

from collections.abc import Callable, Iterable
import contextlib
import itertools
import math
from typing import Any

from initlab import (
  activations,
  base,
  datasets,
  experiment,
  functions,
  initializers,
  keys,
  losses,
  meanfield,
  mlp,
  probes,
  schemes,
)
from initlab.experiment import knob, written


def init_knob(default: str):
  """The knob of a Config that names an initializer, see `schemes.resolve`."""
  help = (
    'the scheme that draws the weights, with its knobs as in normal:std=0.05; '
    'or the dotted path of your own function, as in mylab.inits.spread:gain=1.2'
  )
  return knob(default, help, initializers.SCHEMES, read=schemes.named)


def dataset_knob(default: str):
  """The knob that names a data set, see `datasets.resolve`."""
  help = (
    'the data set of inputs and labels; or the dotted path of your own '
    'function that returns them, as in mylab.data.mine'
  )
  return knob(default, help, datasets.DATASETS, read=datasets.named)


def activation_knob(
  default: str, help: str = 'the nonlinearity of the hidden layers'
):
  """The knob that names an activation, see `activations.resolve`."""
  help += '; or the dotted path of your own function, as in mylab.acts.mish'
  return knob(default, help, activations.ACTIVATIONS, read=activations.named)


def loss_knob(choices: Iterable[str] = losses.LOSSES):
  """The knob of the loss; a page that reads nats chooses cross entropy only."""
  return knob('cross_entropy', 'the loss of an example', choices)


_GAINS = ('default', 'activation', 'critical')


def _gain(value: str | float) -> str | float:
  """The value of the knob `gain`."""
  if value in _GAINS:
    return value
  with contextlib.suppress(ValueError):
    if math.isfinite(number := float(value)):
      return number
  raise base.UserError("a number, 'default', 'activation' or 'critical'")


@experiment.config
class Network:
  """A multilayer perceptron for a data set, and how it is initialized."""

  init: functions.Named = init_knob('glorot')
  activation: functions.Named = activation_knob('tanh')
  widths: tuple[int, ...] = knob(
    (1000,) * 5, 'the hidden widths: 1000x5, or 500-1000-500', least=1
  )
  depth: int = knob(
    0,
    'hidden layers, the widths repeated in turn; 0 takes each width once',
    least=0,
    most=1000,
  )
  dataset: functions.Named = dataset_knob('shapeset')
  distribution: str = knob(
    'default',
    'the distribution of a family with a choice (glorot, he, lecun, prelu)',
    ('default', 'uniform', 'normal', 'truncated_normal'),
  )
  gain: float | str = knob(
    'default',
    "multiplies the weights: a number, 'default' for the scheme's own, "
    "'activation' for 1 / sqrt(E f(z)^2) of the activation, or 'critical' for "
    'the gain at which deep gradients keep their size, of schemes with '
    'Var[w] = gain^2 / n_in',
    traced=True,
    read=_gain,
  )
  bias: float = knob(
    0.0, 'the constant that is added to every bias', traced=True
  )
  loss: str = loss_knob()

  def check(self) -> None:
    """Refuses a scheme without the chosen distribution or gain."""
    with experiment.blaming(self, 'init', 'distribution'):
      scheme = self.scheme()
    scheme.make(**self.knobs())

  def scheme(self) -> base.Scheme:
    """The scheme that draws the weights."""
    return schemes.resolve(self.init, self.distribution)

  def knobs(self) -> dict[str, Any]:
    """The knobs of the scheme beside the shape."""
    if self.gain == 'default':
      return {}
    if 'gain' not in self.scheme().knobs:
      raise base.UserError(
        f'--gain={self.gain} --init={written(self.init)}: {self._no_gain()}'
      )
    if self.gain == 'activation':
      return {'gain': activations.gain(self.activation)}
    if self.gain == 'critical':
      with experiment.blaming(self, 'gain', 'activation'):
        return {'gain': meanfield.critical_gain(self.activation)}
    return {'gain': self.gain}

  def _no_gain(self) -> str:
    """Why the scheme takes no gain."""
    if callable(self.init):
      return 'a function takes no gain beside its own'
    name, given = functions.split(self.init)
    if 'gain' in given:
      return 'the gain is given twice, leave out one of the two'
    if '.' in name:
      return f'a function has its knobs set in its name: {name}:gain=1.2'
    return f'{name} has no gain'

  def layer_widths(self) -> tuple[int, ...]:
    """`n_0, ..., n_L`, the input and the output included."""
    dataset = datasets.resolve(self.dataset)
    depth = self.depth or len(self.widths)
    hidden = itertools.islice(itertools.cycle(self.widths), depth)
    return (dataset.input_size, *hidden, dataset.num_classes)

  def draw(self, key: base.Key) -> base.Params:
    """Draws the initial parameters.

    Args:
      key: of the seed; the weights are drawn from its stream 'init'.

    Returns:
      `L` layers.
    """
    scheme = self.scheme()
    return mlp.init(
      keys.stream(key, 'init'),
      self.layer_widths(),
      scheme.make(**self.knobs()),
      scheme.bias() if scheme.bias else None,
      shift=self.bias,
    )


def load(split: str) -> Callable[[Any, str], base.Batch]:
  """A loader of the first `examples` of a split, for an experiment's `load`.

  Of a split that is held out it loads all if there are fewer.

  Args:
    split: 'train', 'valid' or 'test'.
  """

  def load_split(config: Any, data_dir: str) -> base.Batch:
    if split == 'train':
      return training_examples(config, 'examples', data_dir)
    dataset = datasets.resolve(config.dataset)
    return datasets.most(dataset, split, config.examples, data_dir)

  return load_split


def training_examples(config: Any, name: str, data_dir: str) -> base.Batch:
  """The first of the training examples, as many as a knob says; 0 is all.

  Raises:
    UserError: there are fewer, or the data set cannot be loaded.
  """
  size = getattr(config, name)
  try:
    dataset = datasets.resolve(config.dataset)
    return dataset.split('train', size or None, data_dir)
  except datasets.TooFew as error:
    raise base.UserError(f'--{name}={size}: {error}') from None


def activation(config: Any) -> base.Activation:
  """The activation of the hidden layers."""
  return activations.resolve(config.activation)


def loss(config: Any) -> base.ExampleLoss:
  """The loss of an example."""
  return losses.LOSSES[config.loss].per_example


def objective(config: Any) -> Callable[[base.Params, base.Batch], base.Array]:
  """The mean loss of a batch, as a function of parameters and batch."""
  return mlp.objective(activation(config), loss(config))


def signals(
  config: Any, params: base.Params, batch: base.Batch
) -> base.Signals:
  """The signals of a forward and a backward pass, see `mlp.signals`."""
  return mlp.signals(params, batch, activation(config), loss(config))


def probed(
  config: Any, params: base.Params, batch: base.Batch, names: Iterable[str]
) -> dict[str, base.Array]:
  """Name -> value of probes.

  Args:
    config: the settings.
    params: of the network.
    batch: the examples.
    names: keys of `probes.PROBES`.
  """
  seen = params, activation(config), signals(config, params, batch)
  return {name: probes.PROBES[name](*seen) for name in names}


def evaluate(
  config: Any, params: base.Params, batch: base.Batch
) -> tuple[base.Array, base.Array]:
  """Mean loss, and the share of misclassified examples."""
  return mlp.evaluate(params, batch, activation(config), loss(config))
