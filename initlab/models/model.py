"""A model, taken apart."""

import collections
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, keys
from initlab.models import (
  leaves,
  places,
  plan as plans,
  program as programs,
  sites,
)

_NO_NUMBERS = 'OSU'  # kinds of NumPy's dtypes: any object, and text


class Model(NamedTuple):
  """A model taken apart.

  plan: its places.
  opaque: what is not looked into.
  output: which of the program's outputs is the model's.
  scalar: whether that is a loss.
  names: paths of the leaves of the params.
  shapes: of those leaves.
  floating: which of the leaves are real numbers.
  """

  plan: plans.Plan
  opaque: tuple[places.Opaque, ...]
  output: int
  scalar: bool
  names: tuple[str, ...]
  shapes: tuple[Any, ...]
  floating: tuple[bool, ...]


def take_apart(
  init: Callable[[base.Key], Any], function: Callable[..., Any], batch: tuple
) -> Model:
  """Traces a model and finds its places.

  Args:
    init, batch: see `audit.audit`.
    function: the model, see there.

  Raises:
    UserError: a model or an init that cannot be audited, or a batch that is not
      finite.
  """
  refuse_nan(batch)
  params = shapes_drawn(init, 'init', 'params')
  names, shapes = leaves.names(params), jax.tree.leaves(params)
  plan, opaque, outputs = planned(function, params, batch)
  if not plan.sites:
    raise base.UserError(_no_site(opaque))
  made = jax.tree.leaves(outputs)
  real = [number for number, each in enumerate(made) if programs.is_real(each)]
  if not real:
    raise base.UserError('the model returns no floating-point array')
  scalar = made[real[0]].shape == ()
  floating = tuple(map(programs.is_real, shapes))
  return Model(
    plan, opaque, real[0], scalar, tuple(names), tuple(shapes), floating
  )


def planned(
  function: Callable[..., Any], params: Any, batch: tuple
) -> tuple[plans.Plan, tuple[places.Opaque, ...], Any]:
  """The places of a model's program.

  Args:
    function: `(params, *batch) -> outputs`.
    params: a pytree of arrays, or of their shapes and dtypes.
    batch: likewise.

  Returns:
    The plan; what is not looked into; shapes and dtypes of the outputs.

  Raises:
    UserError: the function does not take them.
  """
  try:
    program, opaque, outputs = programs.trace(function, params, *batch)
  except Exception as error:
    raise base.UserError(
      'the model does not take these params and this batch: '
      f'{first_line(error)}'
    ) from error
  numbers = [
    number if programs.is_real(leaf) else None
    for number, leaf in enumerate(jax.tree.leaves(params))
  ]
  numbers += [-1] * len(jax.tree.leaves(batch))
  plan = sites.analyse(program, numbers)
  return plan, (*opaque, *plan.opaque), outputs


def names_of_sites(
  plan: plans.Plan, leaf_names: Sequence[str]
) -> dict[int, str]:
  """Number of a site -> its name, see `places.Site`, in the program's order."""
  names: dict[int, str] = {}
  seen: collections.Counter[str] = collections.Counter()
  for operation in programs.deep(plan.program):
    site = plan.sites.get(operation)
    if site is not None:
      name = joined([leaf_names[leaf] for leaf in site.leaves])
      seen[name] += 1
      use = f' (use {seen[name]})' if seen[name] > 1 else ''
      names[site.number] = name + use if name else f'product {seen[name]}'
  return names


def joined(names: Sequence[str]) -> str:
  """Names of leaves as one: of more than two, the first and the last."""
  return f'{names[0]}...{names[-1]}' if len(names) > 2 else '+'.join(names)


def shapes_drawn(draw: Callable[[base.Key], Any], name: str, what: str) -> Any:
  """The shapes and dtypes of what a function of a key draws.

  Args:
    draw: `key -> pytree of arrays`.
    name: of the function, for messages.
    what: it draws, likewise.

  Raises:
    UserError: it cannot be traced, or makes nothing of its key.
  """
  try:
    program, _, shapes = programs.trace(draw, keys.root(0))
  except base.UserError:
    raise
  except Exception as error:
    raise base.UserError(
      f'{name} is not a function of the key that JAX can trace: '
      f'{first_line(error)}'
    ) from error
  (key,) = program.inputs
  makers = programs.makers(program)
  if not any(programs.comes_from(x, key, makers) for x in program.outputs):
    raise base.UserError(f'{name} draws the same {what} whatever its key is')
  return shapes


def first_line(error: Exception) -> str:
  """The kind of an error and the first line of its message."""
  return f'{type(error).__name__}: {str(error).partition(chr(10))[0]}'


def _no_site(opaque: Sequence[places.Opaque]) -> str:
  closures = sum(each.why.endswith('params') for each in opaque)
  if closures:
    return (
      f'{closures} matrix products use arrays that are not in params: return '
      'the weights from init, and take them from the first argument'
    )
  hidden = ', '.join(
    f'{each.products} in {each.operation}' for each in opaque if each.products
  )
  if hidden:
    return f'no weight meets the batch where an audit can look: {hidden}'
  return 'the model has no site: no weight of its params meets the batch'


def batch_of(batch: Any, key: base.Key | None = None, size: int = 16) -> tuple:
  """The arguments of a model beside its params.

  Args:
    batch: the tuple of them; what is not a tuple is the only one. Or a function
      `(key, size) -> batch` that draws examples.
    key: of the draw, if there is one; it is consumed. None for examples that
      are the same in every run.
    size: how many examples are drawn.

  Raises:
    UserError: the function fails.
  """
  if callable(batch):
    if key is None:
      key = keys.stream(keys.root(0), 'examples')
    try:
      batch = batch(key, size)
    except Exception as error:
      raise base.UserError(
        f'batch is a function, but batch(key, {size}) fails: '
        f'{first_line(error)}'
      ) from error
  return batch if isinstance(batch, tuple) else (batch,)


def refuse_nan(batch: tuple) -> None:
  """Refuses a batch with entries that are not finite, or no numbers.

  Raises:
    UserError: it names the array.
  """
  for path, array in jax.tree_util.tree_flatten_with_path(batch)[0]:
    name = jax.tree_util.keystr(path)
    of_jax = isinstance(array, jax.Array)
    if not of_jax and np.asarray(array).dtype.kind in _NO_NUMBERS:
      what = type(array).__name__
      raise base.UserError(f'batch{name} is of {what}, not an array of numbers')
    array = jnp.asarray(array)
    bad = programs.is_real(array) and int(jnp.sum(~jnp.isfinite(array)))
    if bad:
      raise base.UserError(f'batch{name} has {bad} entries that are not finite')
