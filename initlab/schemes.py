"""Resolves `--init`: a scheme of the lab, or any function.

    glorot                        a name in `initializers.SCHEMES`
    normal:std=0.05               the same with a knob set
    mylab.inits.spread:gain=1.2   a function, imported by its path
    Config(init=spread)           in Python, the function itself

A function whose second parameter is called `shape`, as in JAX, is an
initializer, `(key, shape, dtype) -> array`. Any other is a factory that is
called with its knobs and returns an initializer, like those of `initializers`.
Its law is estimated, see `laws`.
"""

from collections.abc import Callable
import functools
import inspect
from typing import Any

import jax.numpy as jnp

from initlab import base, functions, initializers, laws


def resolve(
  init: functions.Named, distribution: str = 'default'
) -> base.Scheme:
  """The scheme of an initializer's name or function.

  Args:
    init: a text or a function, see above.
    distribution: see `initializers.resolve`; 'default' of a function.

  Raises:
    UserError: the scheme, function or knob does not exist, or the function is
      neither an initializer nor a factory of one.

  Examples:
    >>> scheme = resolve('jax.nn.initializers.normal:stddev=0.1')
    >>> law = scheme.law(300, 100)
    >>> law.family, 0.0098 < law.variance < 0.0102
    ('normal', True)
  """
  if isinstance(init, str) and '.' not in functions.split(init)[0]:
    return initializers.resolve(init, distribution)
  text, function, knobs = _function(init)
  if distribution != 'default':
    raise base.UserError(f'{text} has no choice of distribution')
  return _scheme(function, tuple(knobs.items()))


def named(init: functions.Named) -> functions.Named:
  """A text with its knobs in canonical form; a function as it is.

  Raises:
    UserError: as `resolve`, or the function cannot be hashed.

  Examples:
    >>> named('sparse:std=2:nonzeros=10')
    'sparse:nonzeros=10:std=2.0'
  """
  if callable(init):
    functions.hashable(init)
  resolve(init)
  if callable(init):
    return init
  name, given = functions.split(init)
  if '.' in name:
    return _function(init)[0]
  known = initializers.knobs_of(initializers.SCHEMES[name])
  return functions.joined(name, functions.values(name, given, known))


def _function(
  init: functions.Named,
) -> tuple[str, Callable[..., Any], dict[str, Any]]:
  """Text, function and knobs of a user's function."""
  if callable(init):
    return functions.label(init), init, {}
  name, given = functions.split(init)
  function = functions.imported(name)
  after = 3 if _is_initializer(function) else 0
  known = functions.knobs_of(function, after) if given else {}
  knobs = functions.values(name, given, known)
  return functions.joined(name, knobs), function, knobs


def _is_initializer(function: Callable[..., Any]) -> bool:
  parameters = list(functions.signature(function).parameters)
  return parameters[1:2] == ['shape']


@functools.lru_cache(maxsize=1024)
def _scheme(
  function: Callable[..., Any], knobs: tuple[tuple[str, Any], ...]
) -> base.Scheme:
  """The scheme of a function, cached so that its law is estimated once."""
  label = functions.label(function)
  if _is_initializer(function):
    _refuse_call(function, label, 'key', 'shape', 'dtype', **dict(knobs))
    draw = functools.partial(function, **dict(knobs))
  else:
    _refuse_call(function, label, **dict(knobs))
    draw = function(**dict(knobs))
    if not callable(draw):
      raise base.UserError(
        f'{label} returns no initializer (key, shape, dtype), but an object of '
        f'type {type(draw).__name__}'
      )
  initializer = _checked(draw, label)
  law = functools.partial(laws.estimate, initializer)
  return base.Scheme(lambda: initializer, law, (), label)


def _refuse_call(
  function: Callable[..., Any], label: str, *args: Any, **knobs: Any
) -> None:
  """Refuses a function that cannot be called with these arguments."""
  try:
    functions.signature(function).bind(*args, **knobs)
  except TypeError as error:
    what = ', '.join(args) or ', '.join(knobs) or 'no arguments'
    raise base.UserError(
      f'{label}{inspect.signature(function)} cannot be called with {what}: '
      f'{error}. An initializer is (key, shape, dtype), its second parameter '
      'called shape; a factory of one is called with its knobs'
    ) from None


def _checked(draw: Callable[..., Any], label: str) -> base.Initializer:
  """The initializer with a check of the shape that it returns."""

  def initializer(
    key: base.Key, shape: base.Shape, dtype: Any = jnp.float32
  ) -> base.Array:
    w = draw(key, tuple(shape), dtype)
    if jnp.shape(w) != tuple(shape):
      raise base.UserError(
        f'{label} returned an array of shape {jnp.shape(w)} instead of '
        f'{tuple(shape)}'
      )
    return jnp.asarray(w, dtype)

  return initializer
