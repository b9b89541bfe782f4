"""Multilayer perceptrons of one width whose hidden layers are one array.

A network of `mlp` is a tuple of layers: its program names each of them, and
from a few dozen on compiles for longer than it runs. Here the hidden layers
after the first are stacked, and a program loops over them, so that it is of one
size at any depth. The numbers are those of `mlp.init`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab import base, experiment, layerwise, mlp, networks


class Stacked(NamedTuple):
  """A network of `L` layers, all hidden ones with `n` units.

  first: `[n_0, n]` weights and `[n]` biases.
  middle: `[L - 2, n, n]` and `[L - 2, n]`.
  last: `[n, n_L]` and `[n_L]`.
  """

  first: base.Layer
  middle: base.Layer
  last: base.Layer


@experiment.config
class Network(networks.Network):
  """A `networks.Network` of one width, whose hidden layers are one array."""

  def check(self) -> None:
    """Refuses more than one width."""
    super().check()
    if len(set(self.layer_widths()[1:-1])) > 1:
      given = experiment.written(self.widths)
      raise base.UserError(f'--widths={given}: hidden layers have one width')

  def draw(self, key: base.Key) -> Stacked:
    """Draws the initial parameters, the same numbers."""
    return of_layers(super().draw(key))


def of_layers(params: base.Params) -> Stacked:
  """Stacks the layers of a network.

  Args:
    params: at least two layers, the hidden ones of one width.

  Raises:
    UserError: there is no hidden layer, or their widths differ.
  """
  widths = {len(each.b) for each in params[:-1]}
  if len(widths) != 1:
    raise base.UserError(
      f'hidden widths {sorted(widths)}: stacked layers have one width'
    )
  first, *middle, last = params
  if middle:
    return Stacked(first, layerwise.stack(middle), last)
  n = len(first.b)
  none = base.Layer(jnp.zeros((0, n, n)), jnp.zeros((0, n)))
  return Stacked(first, none, last)


def layers(network: Stacked) -> base.Params:
  """The inverse of `of_layers`."""
  size = len(network.middle.b)
  middle = layerwise.unstack(network.middle, size)
  return network.first, *middle, network.last


def apply(
  network: Stacked, x: base.Array, activation: base.Activation
) -> base.Array:
  """The network's output, `[B, n_L]` logits.

  Args:
    network: of `L` layers.
    x: `[B, n_0]` inputs.
    activation: f, elementwise.
  """

  def climb(z: base.Array, layer: base.Layer) -> tuple[base.Array, None]:
    return activation(affine(layer, z)), None

  z, _ = climb(x, network.first)
  z, _ = jax.lax.scan(climb, z, network.middle)
  return affine(network.last, z)


def affine(layer: base.Layer, z: base.Array) -> base.Array:
  """`z w + b`, the pre-activations `[B, n_l]` of a layer."""
  return z @ layer.w + jnp.broadcast_to(layer.b, (len(z), len(layer.b)))


def objective(config: Any) -> Callable[[Stacked, base.Batch], base.Array]:
  """The mean loss of a batch, as `networks.objective`."""
  activation, loss = networks.activation(config), networks.loss(config)

  def of_batch(network: Stacked, batch: base.Batch) -> base.Array:
    return mlp.mean_loss(apply(network, batch.x, activation), batch.y, loss)

  return of_batch


def evaluate(
  config: Any, network: Stacked, batch: base.Batch
) -> tuple[base.Array, base.Array]:
  """Mean loss, and the share of misclassified examples."""
  logits = apply(network, batch.x, networks.activation(config))
  return mlp.score(logits, batch.y, networks.loss(config))
