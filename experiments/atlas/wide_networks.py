"""Networks of any width, in standard parametrization or in muP."""

import dataclasses
import functools
from typing import Any

import jax
import optax

from initlab import base, datasets, experiment, functions
from initlab import keys, mlp, networks, optimizers, schemes
from initlab.experiment import knob
from initlab.models import parametrization


@experiment.config
class Wide:
  """Hidden layers of one width, and what goes with the width."""

  parametrization: str = knob(
    'mup',
    'mup scales weights and rates of Adam with the width as Tensor Programs V '
    'does; standard draws the weights of the scheme at every width and has one '
    'rate. They are the same at the base width',
    ('mup', 'standard'),
  )
  init: functions.Named = networks.init_knob('he_normal')
  width: int = knob(64, 'the units of a hidden layer', least=1)
  base_width: int = knob(64, 'the width at which the two are the same', least=1)
  depth: int = knob(3, 'hidden layers', least=1)
  activation: functions.Named = networks.activation_knob('relu')
  dataset: functions.Named = networks.dataset_knob('digits')
  loss: str = networks.loss_knob()
  learning_rate: float = knob(
    1e-3, 'of Adam, at the base width', above=0, traced=True
  )

  def draw(self, key: base.Key) -> base.Params:
    """The parameters at first."""
    drawn = self.drawn_at(key, self.width)
    return parametrization.rescale(drawn, self.rules())

  def rules(self) -> Any:
    """What the parametrization says of every leaf, a `Rule` each.

    They are those of `Wide`, whose model all subclasses have.
    """
    names = [field.name for field in dataclasses.fields(Wide)]
    shared = {name: getattr(self, name) for name in names}
    with experiment.blaming(self, 'parametrization', 'init'):
      return _rules(Wide(**shared | {'learning_rate': 1.0}))

  def optimizer(self) -> optax.GradientTransformationExtraArgs:
    """Adam, with the rate of every leaf."""
    adam = lambda rule: optax.adam(self.learning_rate * rule.learning_rate)
    return optimizers.promoting(parametrization.optimizer(adam, self.rules()))

  def mean_loss(self, params: base.Params, x: base.Array, y: base.Array):
    """The mean loss of a batch."""
    return networks.objective(self)(params, base.Batch(x, y))

  def make(self, width: int) -> tuple[Any, Any, Any]:
    """The model of a width, as `parametrization` takes it."""
    size = datasets.resolve(self.dataset).input_size
    batch = (
      jax.ShapeDtypeStruct((2, size), 'float32'),
      jax.ShapeDtypeStruct((2,), 'int32'),
    )
    return lambda key: self.drawn_at(key, width), self.mean_loss, batch

  def drawn_at(self, key: base.Key, width: int) -> base.Params:
    """What the scheme draws at a width, with biases of zero."""
    dataset = datasets.resolve(self.dataset)
    hidden = (width,) * self.depth
    widths = (dataset.input_size, *hidden, dataset.num_classes)
    weights = schemes.resolve(self.init).make()
    return mlp.init(keys.stream(key, 'init'), widths, weights)


@functools.cache
def _rules(config: Wide) -> Any:
  """Kept, of all experiments, since standard deviations are drawn for them."""
  with jax.ensure_compile_time_eval():
    if config.parametrization == 'standard':
      return parametrization.standard(config.make, config.width)
    return parametrization.mup(config.make, config.width, config.base_width)
