"""The settings of a network, which experiments share.

An experiment's Config extends `Network` with knobs of its own:

    @dataclasses.dataclass(frozen=True)
    class Config(networks.Network):
      examples: int = base.knob(300, 'how many the network is shown')
"""

from collections.abc import Mapping
import dataclasses
import itertools

from initlab import (
  activations,
  base,
  datasets,
  functions,
  initializers,
  keys,
  losses,
  mlp,
  schemes,
)
from initlab.experiment import knob, written


def init_knob(default: str, help: str = 'the scheme that draws the weights'):
  """The knob of a Config that names an initializer, see `schemes.resolve`."""
  help += (
    ', with its knobs as in normal:std=0.05; or the dotted path of your own '
    'function, as in mylab.inits.spread:gain=1.2'
  )
  return knob(default, help, initializers.SCHEMES, read=schemes.named)


def activation_knob(
  default: str, help: str = 'the nonlinearity of the hidden layers'
):
  """The knob that names an activation, see `activations.resolve`."""
  help += '; or the dotted path of your own function, as in mylab.acts.mish'
  return knob(default, help, activations.ACTIVATIONS, read=activations.named)


@dataclasses.dataclass(frozen=True)
class Network:
  """A multilayer perceptron for a data set, and how it is initialized."""

  init: functions.Named = init_knob('glorot')
  activation: functions.Named = activation_knob('tanh')
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
    for name, named in (
      ('init', schemes.named),
      ('activation', activations.named),
    ):
      value = getattr(self, name)
      try:
        object.__setattr__(self, name, named(value))
      except base.UserError as error:
        raise base.UserError(f'--{name}={written(value)}: {error}') from None
    try:
      scheme = self.scheme()
    except base.UserError as error:
      where = f'--init={written(self.init)} --distribution={self.distribution}'
      raise base.UserError(f'{where}: {error}') from None
    scheme.make(**self.knobs())

  def scheme(self) -> base.Scheme:
    """The scheme that draws the weights."""
    return schemes.resolve(self.init, self.distribution)

  def knobs(self) -> dict[str, float]:
    """What is handed to the scheme beside the shape."""
    if self.gain == 'default':
      return {}
    if 'gain' not in self.scheme().knobs:
      raise base.UserError(
        f'--gain={self.gain} --init={written(self.init)}: {self._no_gain()}'
      )
    if self.gain == 'activation':
      return {'gain': activations.gain(self.activation)}
    try:
      return {'gain': float(self.gain)}
    except ValueError:
      raise base.UserError(
        f"--gain={self.gain}: a number, 'default' or 'activation'"
      ) from None

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
  activation = activations.resolve(network.activation)
  loss = losses.LOSSES[network.loss].per_example
  params = draw(network, key, network.knobs(), network.bias)
  return params, activation, mlp.signals(params, batch, activation, loss)
