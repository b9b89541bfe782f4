"""The settings of a network, which experiments share.

An experiment's Config extends `Network` with knobs of its own:

    @dataclasses.dataclass(frozen=True)
    class Config(networks.Network):
      examples: int = base.knob(300, 'how many the network is shown')
"""

from collections.abc import Mapping
import dataclasses
import itertools

from initlab import activations, base, datasets, initializers, keys, losses, mlp
from initlab.experiment import knob


@dataclasses.dataclass(frozen=True)
class Network:
  """A multilayer perceptron for a data set, and how it is initialized."""

  init: str = knob(
    'glorot', 'the scheme that draws the weights', initializers.SCHEMES
  )
  activation: str = knob(
    'tanh', 'the nonlinearity of the hidden layers', activations.ACTIVATIONS
  )
  widths: tuple[int, ...] = knob(
    (1000,) * 5, 'the hidden widths: 1000x5, or 500-1000-500'
  )
  depth: int = knob(
    0, 'hidden layers, the widths repeated in turn; 0 takes each width once'
  )
  dataset: str = knob(
    'shapeset', 'where inputs and labels come from', datasets.DATASETS
  )
  distribution: str = knob(
    'default',
    'the distribution of a family with a choice (glorot, he, lecun, prelu)',
    ('default', 'uniform', 'normal', 'truncated_normal'),
  )
  gain: str = knob(
    'default',
    "multiplies the weights: a number, 'default' for the scheme's own, or "
    "'activation' for 1 / sqrt(E f(z)^2) of the activation",
  )
  bias: float = knob(0.0, 'the constant that is added to every bias')
  loss: str = knob('cross_entropy', 'the cost of an example', losses.LOSSES)

  def __post_init__(self):
    if not self.widths or min(self.widths) < 1:
      raise base.UserError(
        f'--widths={"-".join(map(str, self.widths))}: widths are at least 1'
      )
    if not 0 <= self.depth <= 1000:
      raise base.UserError(f'--depth={self.depth}: from 0 to 1000 layers')
    try:
      initializers.resolve(self.init, self.distribution)
    except base.UserError as error:
      where = f'--init={self.init} --distribution={self.distribution}'
      raise base.UserError(f'{where}: {error}') from None
    self.scheme().make(**self.knobs())

  def scheme(self) -> base.Scheme:
    """The scheme that draws the weights."""
    return initializers.resolve(self.init, self.distribution)

  def knobs(self) -> dict[str, float]:
    """What is handed to the scheme beside the shape."""
    if self.gain == 'default':
      return {}
    if 'gain' not in self.scheme().knobs:
      raise base.UserError(f'--gain={self.gain}: {self.init} has no gain')
    if self.gain == 'activation':
      return {'gain': activations.gain(self.activation)}
    try:
      return {'gain': float(self.gain)}
    except ValueError:
      raise base.UserError(
        f"--gain={self.gain}: a number, 'default' or 'activation'"
      ) from None

  def layer_widths(self) -> tuple[int, ...]:
    """`n_0, ..., n_L`, the input and the output included."""
    dataset = datasets.DATASETS[self.dataset]
    depth = self.depth or len(self.widths)
    hidden = itertools.islice(itertools.cycle(self.widths), depth)
    return (dataset.input_size, *hidden, dataset.num_classes)


def parameters(network: Network) -> int:
  """How many numbers a network has."""
  pairs = itertools.pairwise(network.layer_widths())
  return sum((n_in + 1) * n_out for n_in, n_out in pairs)


def draw(
  network: Network,
  key: base.Key,
  knobs: Mapping[str, float | base.Array],
  bias: float | base.Array,
) -> base.Params:
  """Draws a network.

  Args:
    network: the settings.
    key: of the seed; the weights are drawn from its stream 'init'.
    knobs: `network.knobs()`, or traced scalars of those names.
    bias: `network.bias`, or a traced scalar.

  Returns:
    `L` layers.
  """
  scheme = network.scheme()
  return mlp.init(
    keys.stream(key, 'init'),
    network.layer_widths(),
    scheme.make(**knobs),
    scheme.bias() if scheme.bias else None,
    shift=bias,
  )


def test_examples(network: Network, size: int, data_dir: str) -> base.Batch:
  """The first examples of the data set's test split.

  Args:
    network: the settings.
    size: how many.
    data_dir: the folder of downloaded data sets.
  """
  return datasets.DATASETS[network.dataset].split('test', size, data_dir)


def look(
  network: Network, key: base.Key, batch: base.Batch
) -> tuple[base.Params, base.Activation, base.Signals]:
  """Draws a network and shows it examples: what a probe takes.

  Args:
    network: the settings.
    key: of the seed.
    batch: the examples.
  """
  activation = activations.ACTIVATIONS[network.activation]
  loss = losses.LOSSES[network.loss].per_example
  params = draw(network, key, network.knobs(), network.bias)
  return params, activation, mlp.signals(params, batch, activation, loss)
