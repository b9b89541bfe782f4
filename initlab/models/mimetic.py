"""Attention kernels whose products look like those of trained transformers.

    model = uses.trace(apply, params, tokens)
    new = mimetic.query_key(model.uses, params, key, '*/query', '*/key')
    new = mimetic.value_output(model.uses, new.params, key, '*/value', '*/out')

References:
  Trockman & Kolter, 2023, Mimetic initialization of self-attention layers,
  section 4. https://arxiv.org/abs/2305.09828
"""

from collections.abc import Callable, Sequence
import math
from typing import Any

import jax
import jax.numpy as jnp

from initlab import base, kernels, keys
from initlab.models import leaves, redraw
from initlab.models.uses import Use

_Pair = tuple[Use, Use]


def query_key(
  found: Sequence[Use],
  params: Any,
  key: base.Key,
  query: str,
  keys_of: str,
  *,
  heads: int | None = None,
  alpha: float = 0.7,
  beta: float = 0.7,
) -> redraw.Redrawn:
  """The query and key kernels of attention, head by head.

      W_query W_key' ~ alpha Z + beta I,   Z of entries N(0, 1 / n),

  so that a token attends to those like itself. The matrix is cut to its largest
  head_dim singular values, U S V', and split evenly: W_query = U S^(1/2), W_key
  = V S^(1/2). Every head has its own Z. The mean square of the entries of
  either kernel is the mean of the singular values that are kept, over n.

  Args:
    found: of the model, from `uses.trace` or `uses.of`.
    params: of the model.
    key: it is consumed.
    query: pattern of the names of the query kernels, `[n, heads, head_dim]` or
      `[n, heads * head_dim]`, in any layout, head_dim <= n.
    keys_of: of the key kernels, as many, in the same order.
    heads: how many, for kernels that have one axis of outputs; None takes the
      first of two axes.
    alpha: of the noise.
    beta: of the identity.

  Raises:
    UserError: the kernels do not come in pairs of one shape, the number of
      heads is not known or does not divide the outputs, or head_dim > n.
  """

  def draw(pair: _Pair, key: base.Key) -> list[base.Array]:
    stack, n, outs = _sizes_of(pair)
    count = _heads(pair, heads)
    size = outs // count
    if size > n:
      raise base.UserError(
        f'{pair[0].name}: heads of {size} outputs have more than its {n} inputs'
      )
    u, s, v = _noisy_identity(key, (stack, count), n, alpha, beta)
    root = jnp.sqrt(s[..., None, :size])
    halves = u[..., :size], v.mT[..., :size]
    return [jnp.moveaxis(half * root, 1, 2) for half in halves]

  return _drawn(found, params, key, (query, keys_of), draw)


def value_output(
  found: Sequence[Use],
  params: Any,
  key: base.Key,
  value: str,
  out: str,
  *,
  alpha: float = 0.4,
  beta: float = 0.4,
) -> redraw.Redrawn:
  """The value and output kernels of attention, all heads at once.

      W_value W_out = alpha Z - beta I,   Z of entries N(0, 1 / n),

  split evenly by its singular values: W_value = U S^(1/2), W_out = S^(1/2) V'.

  Args:
    found: of the model, from `uses.trace` or `uses.of`.
    params: of the model.
    key: it is consumed.
    value: pattern of the names of the value kernels, `[n, heads * head_dim]` in
      any layout, heads * head_dim = n.
    out: of the output kernels, as many, in the same order.
    alpha: of the noise.
    beta: of the identity.

  Raises:
    UserError: the kernels do not come in pairs of square matrices.
  """

  def draw(pair: _Pair, key: base.Key) -> list[base.Array]:
    stack, n, outs = _sizes_of(pair)
    if n != outs:
      raise base.UserError(
        f'{pair[0].name} and {pair[1].name} have {n} inputs and {outs} outputs:'
        ' mimetic values and outputs are square'
      )
    u, s, v = _noisy_identity(key, (stack,), n, alpha, -beta)
    root = jnp.sqrt(s)
    return [u * root[..., None, :], root[..., None] * v]

  return _drawn(found, params, key, (value, out), draw)


def _drawn(
  found: Sequence[Use],
  params: Any,
  key: base.Key,
  patterns: tuple[str, str],
  draw: Callable[[_Pair, base.Key], list[base.Array]],
) -> redraw.Redrawn:
  """Redraws pairs of kernels, each pair from a key of its own."""
  named = {use.name: use for use in found}
  firsts, seconds = (leaves.choose(list(named), {p: ''}) for p in patterns)
  if len(firsts) != len(seconds):
    raise base.UserError(
      f'{patterns[0]!r} matches {len(firsts)} leaves, {patterns[1]!r} '
      f'{len(seconds)}: they come in pairs'
    )
  drawn: dict[str, base.Array] = {}
  for names in zip(firsts, seconds, strict=True):
    pair = named[names[0]], named[names[1]]
    for use in pair:
      reason = redraw.why_not_scaled(use)
      if reason or not use.is_kernel:
        raise base.UserError(f'{use.name}: {reason or "it is no kernel"}')
    for use, half in zip(
      pair, draw(pair, keys.stream(key, names[0])), strict=True
    ):
      drawn[use.name] = leaves.arranged(half, use.shape, redraw.axes_of(use))
  new = lambda use, leaf: drawn[use.name].astype(leaf.dtype)
  return redraw.changed(found, params, drawn, redraw.why_not_drawn, new)


def _sizes_of(pair: _Pair) -> tuple[int, int, int]:
  """Layers, inputs and outputs, the same of both kernels."""
  sizes = []
  for use in pair:
    stack, field, ins, outs = (
      math.prod(use.shape[axis] for axis in part)
      for part in kernels.split_axes(use.shape, **redraw.axes_of(use))
    )
    sizes.append((stack, field * ins, outs))
  if sizes[0] != sizes[1]:
    raise base.UserError(
      f'{pair[0].name} and {pair[1].name} are {sizes[0]} and {sizes[1]} '
      '(layers, inputs, outputs): a pair is of one shape'
    )
  return sizes[0]


def _heads(pair: _Pair, heads: int | None) -> int:
  """How many heads a pair of kernels has."""
  split = kernels.split_axes(pair[0].shape, **redraw.axes_of(pair[0]))
  outs = [pair[0].shape[axis] for axis in split.outs]
  if heads is None and len(outs) == 1:
    raise base.UserError(
      f'{pair[0].name} has one axis of {outs[0]} outputs: say how many heads '
      'they are'
    )
  count = outs[0] if heads is None else heads
  if (
    count < 1 or math.prod(outs) % count or (len(outs) > 1 and count != outs[0])
  ):
    raise base.UserError(
      f'heads={heads}: {pair[0].name} has outputs {tuple(outs)}'
    )
  return count


def _noisy_identity(
  key: base.Key, stack: tuple[int, ...], n: int, alpha: float, beta: float
) -> tuple[base.Array, base.Array, base.Array]:
  """The singular value decompositions of alpha Z + beta I."""
  noise = jax.random.normal(key, (*stack, n, n)) * (alpha * n**-0.5)
  eye = jnp.expand_dims(jnp.eye(n), tuple(range(len(stack))))
  u, s, v = jnp.linalg.svd(noise + beta * eye)
  return u, s, v
