"""Parametrizations: how initialization and learning rate go with the size.

A learning rate that is best for a narrow model is best for a wide one, too, if
every leaf's standard deviation and learning rate follow from how its fans grow.
Against a base model of the same kind, r_in and r_out being a leaf's fan-in and
fan-out over those of the base model, in the axes that grow with the width:

    kind     grows        std          Adam     SGD      decay   Adam's epsilon
    input    r_out alone  1            1        r_out    1       1 / r_out
    hidden   both         r_in^(-1/2)  1/r_in   1        r_in    1 / r_out
    output   r_in alone   1 / r_in     1/r_in   1/r_in   r_in    1
    fixed    neither      1            1        1        1       1

Biases and the scales of norms are of the kind 'input', or 'fixed' in the last
layer. Decay is AdamW's, which multiplies it by the learning rate. In standard
parametrization std is r_in^(-1/2) for hidden and output leaves, and all else 1.

muP wants one change of the model itself: attention logits are divided by
head_dim rather than by its square root. CompleteP multiplies each residual
branch by (base depth / depth)^a with a = 1, and in the blocks Adam's rate by
(depth / base depth)^(a - 1) and its epsilon by (depth / base depth)^(-a).

    rules = parametrization.mup(make, width=512, base_width=64)
    params = parametrization.rescale(init(key), rules)
    optimizer = parametrization.optimizer(
      lambda rule: optax.adam(1e-3 * rule.learning_rate), rules
    )

`coordinates.coordinate_check` sees whether a model so made keeps its sizes.

References:
  Yang et al., 2022, Tensor Programs V, table 3. https://arxiv.org/abs/2203.03466
  Dey et al., 2025, CompleteP, table 1. https://arxiv.org/abs/2505.01618
  Yang et al., 2023, Depth-muP, a = 1/2. https://arxiv.org/abs/2310.02244
"""

import collections
from collections.abc import Callable, Hashable
import dataclasses
import math
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from initlab import base, kernels, keys
from initlab.models import leaves, uses

# `width -> (init, loss, batch)`: `key -> params`, `(params, *batch) -> []`, and
# a tuple of arrays.
Make = Callable[..., tuple[Callable[..., Any], Callable[..., Any], Any]]

# How many draws of the two models tell how their standard deviations grow.
_DRAWS = 16


@dataclasses.dataclass(frozen=True)
class Rule:
  """What a parametrization says of one leaf; a leaf of a pytree itself.

  kind: 'input', 'hidden', 'output' or 'fixed'.
  init: what multiplies the model's own draw.
  learning_rate: what multiplies the base model's.
  weight_decay: what multiplies the base model's, in AdamW.
  epsilon: what multiplies the base model's, in Adam.
  """

  kind: str
  init: float = 1.0
  learning_rate: float = 1.0
  weight_decay: float = 1.0
  epsilon: float = 1.0


class _Growth(NamedTuple):
  """How a leaf of a model exceeds that of the base model.

  kind: 'input', 'hidden', 'output' or 'fixed'.
  r_in, r_out: ratios of the fans.
  r_std: ratio of the standard deviations that the model itself draws with.
  deep: depth over the base depth, of a leaf in the blocks; else 1.
  """

  kind: str
  r_in: float
  r_out: float
  r_std: float
  deep: float


def standard(make: Make, width: int) -> Any:
  """SP: every leaf as the model draws it, at one learning rate.

  Args:
    make: `width -> (init, loss, batch)`.
    width: of the model.

  Returns:
    A `Rule` a leaf, in the tree of the params.
  """
  return jax.tree.map(lambda _: Rule('fixed'), _shapes(make, (width,)))


def mup(
  make: Make, width: int, base_width: int, *, optimizer: str = 'adam'
) -> Any:
  """muP, the maximal update parametrization.

  Args:
    make: `width -> (init, loss, batch)`, with attention, if any, divided by
      head_dim. Axes that differ between the two widths grow with the width.
    width: of the model.
    base_width: of the model whose learning rate is known.
    optimizer: 'adam', for every optimizer whose step does not grow with the
      gradient, or 'sgd', for those whose step is proportional to it.

  Returns:
    A `Rule` a leaf, in the tree of the params.

  Raises:
    UserError: the models differ in more than sizes, or draw a leaf whose
      standard deviation neither stays nor falls as 1 / sqrt(n_in).
  """
  rate = base.lookup(_RATES, 'family of optimizers', optimizer)
  growths = _growths(make, (width,), (base_width,))
  return jax.tree.map(
    lambda growth: _rule(growth, rate(growth)), growths, is_leaf=_is_growth
  )


def complete_p(
  make: Make,
  size: tuple[int, int],
  base_size: tuple[int, int],
  *,
  exponent: float = 1.0,
) -> Any:
  """CompleteP: muP in width, and residual branches scaled with depth; AdamW.

  Args:
    make: `(width, depth) -> (init, loss, batch)`, attention divided by head_dim
      and every residual branch multiplied by `branch(size, base_size,
      exponent)`. Blocks may be stacked in one array or lie in a sequence.
    size: width and depth of the model.
    base_size: of the model whose learning rate is known.
    exponent: a; 1 is CompleteP, 1/2 Depth-muP.

  Returns:
    A `Rule` a leaf, in the tree of the params.

  Raises:
    UserError: as `mup`.
  """
  growths = _growths(make, size, base_size)

  def rule(growth: _Growth) -> Rule:
    width = _rule(growth, _RATES['adam'](growth))
    rate, epsilon = depth_factors(growth.deep, exponent)
    return dataclasses.replace(
      width,
      learning_rate=width.learning_rate * rate,
      epsilon=width.epsilon * epsilon,
    )

  return jax.tree.map(rule, growths, is_leaf=_is_growth)


def depth_factors(
  ratio: float, exponent: float | base.Array
) -> tuple[Any, Any]:
  """What multiplies Adam's rate and its epsilon in the blocks.

  ratio^(a - 1) and ratio^(-a), whose product with the branches, ratio^(-a), is
  1 / ratio for the rate: all blocks together move the stream by as much at any
  depth.

  Args:
    ratio: the depth over the base depth.
    exponent: a; a number, or traced.

  Examples:
    >>> depth_factors(4.0, 0.5)
    (0.5, 0.5)
  """
  return ratio ** (exponent - 1), ratio**-exponent


def branch(
  size: tuple[int, int], base_size: tuple[int, int], exponent: float = 1.0
) -> float:
  """What multiplies a residual branch, (base depth / depth)^exponent.

  Examples:
    >>> branch((64, 8), (64, 2))
    0.25
  """
  return (base_size[1] / size[1]) ** exponent


def rescale(params: Any, rules: Any) -> Any:
  """The params that the model drew, as the rules want them.

  Args:
    params: of the model's own init.
    rules: a `Rule` a leaf.
  """
  return jax.tree.map(
    lambda rule, leaf: leaf * jnp.asarray(rule.init, leaf.dtype), rules, params
  )


def labels(rules: Any) -> Any:
  """The name of each leaf's rule: leaves with equal rules have equal names.

  Examples:
    >>> labels({'w': Rule('hidden', learning_rate=0.5), 'b': Rule('input')})
    {'b': 'input', 'w': 'hidden learning_rate=0.5'}
  """
  return jax.tree.map(_label, rules)


def optimizer(
  make: Callable[[Rule], optax.GradientTransformation], rules: Any
) -> optax.GradientTransformation:
  """An optimizer with a rate, a decay and an epsilon for each kind of leaf.

  Args:
    make: builds the optimizer of the leaves with one rule, as in
      `lambda rule: optax.adamw(1e-3 * rule.learning_rate)`.
    rules: a `Rule` a leaf.

  Returns:
    `optax.multi_transform` by the `labels` of the rules.
  """
  each: dict[Hashable, optax.GradientTransformation] = {
    _label(rule): make(rule) for rule in jax.tree.leaves(rules)
  }
  return optax.multi_transform(each, labels(rules))


def _label(rule: Rule) -> str:
  changed = (
    f'{field.name}={getattr(rule, field.name):g}'
    for field in dataclasses.fields(rule)[1:]
    if getattr(rule, field.name) != 1
  )
  return ' '.join([rule.kind, *changed])


# Family of optimizers -> (growth -> factor of the learning rate).
_RATES: dict[str, Callable[[_Growth], float]] = {
  'adam': lambda growth: (
    1 / growth.r_in if growth.kind in ('hidden', 'output') else 1.0
  ),
  'sgd': lambda growth: {
    'input': growth.r_out,
    'output': 1 / growth.r_in,
  }.get(growth.kind, 1.0),
}


def _rule(growth: _Growth, learning_rate: float) -> Rule:
  """The rule of muP for a leaf, its init relative to what the model draws."""
  kind, r_in, r_out, r_std, _ = growth
  std = {'hidden': r_in**-0.5, 'output': 1 / r_in}.get(kind, 1.0)
  decay = r_in if kind in ('hidden', 'output') else 1.0
  epsilon = 1 / r_out if kind in ('input', 'hidden') else 1.0
  return Rule(kind, std / r_std, learning_rate, decay, epsilon)


def _is_growth(node: Any) -> bool:
  return isinstance(node, _Growth)


def _growths(
  make: Make, size: tuple[int, ...], base_size: tuple[int, ...]
) -> Any:
  """The growth of every leaf, in the tree of the params.

  Args:
    make: `(width, [depth]) -> (init, loss, batch)`.
    size: (width,) or (width, depth).
    base_size: likewise.
  """
  narrow_size = (base_size[0], *size[1:])
  wide, narrow = _shapes(make, size), _shapes(make, narrow_size)
  if jax.tree.structure(wide) != jax.tree.structure(narrow):
    raise base.UserError(
      f'the models of width {size[0]} and {base_size[0]} have different '
      'leaves: a parametrization compares models that differ in sizes alone'
    )
  _, loss, batch = make(*size)
  model = uses.trace(loss, wide, *batch)
  # At the base width the two are one model.
  stds = {each: _stds(make, each) for each in {size, narrow_size}}
  deep = _blocks(make, size, base_size)
  found = []
  for use, old, std, narrow_std in zip(
    model.uses,
    jax.tree.leaves(narrow),
    stds[size],
    stds[narrow_size],
    strict=True,
  ):
    ratios = np.asarray(use.shape) / np.asarray(old.shape)
    kind, r_in, r_out = _kind(use, ratios)
    r_std = _ratio_of_stds(use, std, narrow_std, r_in)
    depth = size[1] / base_size[1] if use.name in deep else 1.0
    found.append(_Growth(kind, r_in, r_out, r_std, depth))
  return jax.tree.unflatten(model.form, found)


def _shapes(make: Make, size: tuple[int, ...]) -> Any:
  """Shapes and dtypes of a model's params."""
  init, _, _ = make(*size)
  return jax.eval_shape(init, keys.root(0))


def _kind(use: uses.Use, ratios: np.ndarray) -> tuple[str, float, float]:
  """What grows of a leaf: its kind and the ratios of its fans."""
  grows = bool(np.any(ratios != 1))
  if use.axes is None:
    if use.role == 'weight' and grows:
      raise base.UserError(
        f'{use.name} grows with the width, and which of its axes are fan-in '
        'cannot be told: it is used in several ways, or mixed with others'
      )
    # A bias or a scale, of fan-in 1.
    return ('input' if grows else 'fixed'), 1.0, float(np.prod(ratios))
  split = kernels.split_axes(use.shape, **use.axes)
  r_in = float(np.prod(ratios[list(split.ins)]))
  r_out = float(np.prod(ratios[list(split.outs)]))
  kinds = {
    (False, False): 'fixed',
    (False, True): 'input',
    (True, False): 'output',
    (True, True): 'hidden',
  }
  return kinds[r_in != 1, r_out != 1], r_in, r_out


def _stds(make: Make, size: tuple[int, ...]) -> list[np.ndarray]:
  """Root mean square of every leaf, pooled over some draws."""
  init, _, _ = make(*size)

  def squares(index: base.Array) -> list[base.Array]:
    params = init(keys.at(keys.root(0), index))
    wide = (leaf.astype(jnp.float32) for leaf in jax.tree.leaves(params))
    return [jnp.mean(leaf**2) for leaf in wide]

  indices = jnp.arange(_DRAWS, dtype=jnp.uint32)
  found = jax.jit(lambda: jax.lax.map(squares, indices))()
  return [np.sqrt(np.mean(each)) for each in found]


def _ratio_of_stds(
  use: uses.Use, wide: np.ndarray, narrow: np.ndarray, r_in: float
) -> float:
  """By what the model's own standard deviation grows: 1 or r_in^(-1/2).

  The root mean square of the smallest leaves, of 100 entries in each draw, errs
  by 2%: it is told from anything that is 20% off.
  """
  if wide == narrow:
    return 1.0
  ratio = float(wide / narrow) if narrow else math.inf
  nearest = min(1.0, r_in**-0.5, key=lambda law: abs(ratio / law - 1))
  if abs(ratio / nearest - 1) > 0.2:
    raise base.UserError(
      f"{use.name}: the model's own standard deviation changes by a factor of "
      f'{ratio:.3g} with the width; rules are relative to draws that stay as '
      f'they are (1) or fall as 1 / sqrt(n_in) ({r_in**-0.5:.3g})'
    )
  return nearest


def _blocks(
  make: Make, size: tuple[int, ...], base_size: tuple[int, ...]
) -> frozenset[str]:
  """Names of the leaves that belong to blocks; none where depth has no say.

  Those of stacks whose length changes with the depth, and those of which, the
  numbers in their paths aside, a deeper model has more.
  """
  if len(size) == 1:
    return frozenset()
  here, there = (
    _named_shapes(make, (size[0], depth)) for depth in (size[1], base_size[1])
  )
  kind = lambda name: re.sub(r'\d+', '#', name)
  counts = [collections.Counter(map(kind, each)) for each in (here, there)]
  return frozenset(
    name
    for name in here
    if counts[0][kind(name)] != counts[1][kind(name)]
    or here[name] != there.get(name, here[name])
  )


def _named_shapes(
  make: Make, size: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
  shapes = _shapes(make, size)
  arrays = jax.tree.leaves(shapes)
  return {
    name: array.shape
    for name, array in zip(leaves.names(shapes), arrays, strict=True)
  }
