"""Models by name: `--model`.

    transformer               a model of the lab, see `examples.MODELS`
    transformer:blocks=4      the same with a knob set
    my_module:make            a function, imported by its path
    my_module:make:width=64   the same with a knob set

Called with its knobs, the function returns `(init, model, batch)`:

    init(key) -> params             any pytree of arrays
    model(params, *batch)           an output, a loss, or (loss, error)
    batch                           a tuple of arrays, or a function
                                    (key, size) -> a tuple of fresh examples
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from initlab import base, functions, keys
from initlab.models import examples, leaves, model as models, uses


@dataclasses.dataclass(frozen=True, eq=False)
class Made:
  """A model, with what it takes.

  init, model, batch: as above.
  """

  init: Callable[[base.Key], Any]
  model: Callable[..., Any]
  batch: Any

  @functools.cached_property
  def params(self) -> Any:
    """Shapes and dtypes of the params.

    Raises:
      UserError: `init` is not a function of its key.
    """
    return models.shapes_drawn(self.init, 'init', 'params')

  @functools.cached_property
  def convolves(self) -> bool:
    """Whether the model has a convolution."""
    batch = jax.eval_shape(functools.partial(models.batch_of, self.batch))
    program = jax.make_jaxpr(self.evaluate)(self.params, batch)
    return 'conv_general_dilated' in str(program)

  @functools.cached_property
  def uses(self) -> tuple[uses.Use, ...]:
    """What each leaf of the params is to the model.

    Raises:
      UserError: no weight of the params meets data.
    """
    batch = jax.eval_shape(functools.partial(models.batch_of, self.batch))
    return uses.trace(self.model, self.params, *batch).uses

  def evaluate(
    self, params: Any, batch: tuple
  ) -> tuple[base.Array, base.Array]:
    """Loss and error of a batch, `[]` each; NaN for an error that is not there.

    Args:
      params: of the model.
      batch: the model's other arguments. Keys among them, as of a dropout, are
        not consumed: the same batch gives the same loss again.
    """
    again = lambda x: jax.random.clone(x) if keys.is_key(x) else x
    found = self.model(params, *jax.tree.map(again, batch))
    loss, error = found if isinstance(found, tuple) else (found, jnp.nan)
    return jnp.asarray(loss, float), jnp.asarray(error, float)

  def refuse_untrainable(self, batch: tuple) -> None:
    """Refuses a model that has no loss, or params that have no gradient.

    Args:
      batch: arrays, or their shapes and dtypes.

    Raises:
      UserError: it says what the model returns instead, or names the leaf.
    """
    for name, leaf in zip(
      leaves.names(self.params), jax.tree.leaves(self.params), strict=True
    ):
      if not jnp.issubdtype(leaf.dtype, jnp.floating):
        raise base.UserError(
          f'params leaf {name} is of {leaf.dtype}: a training moves floating-'
          'point numbers; keep others out of what init returns'
        )
    try:
      found = jax.eval_shape(self.model, self.params, *batch)
    except Exception as error:
      raise base.UserError(
        'the model does not take these params and this batch: '
        f'{models.first_line(error)}'
      ) from error
    outputs = jax.tree.leaves(found)
    parts = list(found) if isinstance(found, tuple) else [found]
    scalars = parts == outputs and not any(x.shape for x in outputs)
    if not scalars or len(parts) > 2:
      said = ', '.join(f'{x.dtype}{list(x.shape)}' for x in outputs)
      raise base.UserError(
        f'the model returns {said or "nothing"}, but a training needs a loss, '
        'a scalar, or (loss, error), two of them'
      )


def named(model: functions.Named) -> functions.Named:
  """A text with its knobs in canonical form; a function as it is.

  Raises:
    UserError: there is no such model, function or knob.

  Examples:
    >>> named('transformer:width=16:blocks=1')
    'transformer:blocks=1:width=16'
  """
  # In a notebook, what the function reads may have changed since it was called.
  _make.cache_clear()
  if callable(model):
    functions.hashable(model)
    return model
  name, _ = functions.split(_dotted(model))
  return functions.joined(name, _function(model)[1])


def make(model: functions.Named) -> Made:
  """Calls the function that makes a model, once for all who ask.

  Args:
    model: a text or a function, see above.

  Raises:
    UserError: as `named`, or the function does not return the three.
  """
  function, knobs = _function(model)
  return _make(function, tuple(knobs.items()))


@functools.lru_cache(maxsize=8)
def _make(
  function: Callable[..., Any], knobs: tuple[tuple[str, Any], ...]
) -> Made:
  given = ', '.join(f'{name}={value}' for name, value in knobs)
  call = f'{functions.label(function)}({given})'
  try:
    with jax.ensure_compile_time_eval():  # Arrays, even in a traced function.
      found = function(**dict(knobs))
  except base.UserError:
    raise
  except Exception as error:
    raise base.UserError(f'{call} fails: {models.first_line(error)}') from error
  try:
    init, model, batch = found
  except (TypeError, ValueError):
    raise base.UserError(
      f'{call} must return (init, model, batch), not {type(found).__name__}'
    ) from None
  for what, each in (('init', init), ('model', model)):
    if not callable(each):
      raise base.UserError(
        f'{call} must return (init, model, batch): {what} is no function, but '
        f'of type {type(each).__name__}'
      )
  return Made(init, model, batch)


def _function(
  model: functions.Named,
) -> tuple[Callable[..., Any], dict[str, Any]]:
  """The function that makes a model, and its knobs."""
  if callable(model):
    return model, {}
  name, given = functions.split(_dotted(model))
  if '.' in name:
    function = functions.imported(name)
  else:
    try:
      function = base.lookup(examples.MODELS, 'model', name)
    except base.UserError as error:
      raise base.UserError(
        f'{error}; or my_module:make, a function of your own'
      ) from None
  known = functions.knobs_of(function) if given else {}
  return function, functions.values(name, given, known)


def _dotted(text: str) -> str:
  """'my_module:make:width=64' -> 'my_module.make:width=64'."""
  module, colon, rest = text.partition(':')
  named = module in examples.MODELS or '=' in rest.partition(':')[0]
  own = colon and not named
  return f'{module}.{rest}' if own else text
