"""What the audit measures of one draw of a model, for use inside a program.

`audit.audit` runs its seeds itself. An experiment is a function of one seed,
which the engine maps over seeds; in it

    look = snapshot.of_model(init, model, batch)
    found = look(init(key), batch)
    found.sites['blocks/mlp/down']['weight_gradient']     # [blocks]

has the same numbers, as arrays that may be traced.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab import base
from initlab.models import measure, model as models, moments, results

Measured = dict[str, jax.Array]

# Moments at a residual add -> what their root mean square is called.
_SIZES = {
  'skip': 'skip_rms',
  'branch': 'branch_rms',
  'sum': 'sum_rms',
  'skip_offset': 'skip_offset',
  'branch_offset': 'branch_offset',
}


class Snapshot(NamedTuple):
  """Of one draw; every value is `[*iterations]`, as of `places.Measured`.

  sites: name -> `input_rms`, `forward_mean`, `forward_rms`, `backward_rms` (of
    dC/ds) and `weight_gradient`, root mean squares; a product has no weight.
  residuals: in the order of the program: `skip_rms`, `branch_rms`, `sum_rms`,
    `correlation`; of three dimensions `token_cosine`; where units are known
    `skip_offset` and `branch_offset`, the root mean square over units of the
    mean of a unit.
  output: of the model, its first floating-point leaf.
  """

  sites: dict[str, Measured]
  residuals: tuple[Measured, ...]
  output: jax.Array


def of_model(
  init: Callable[[base.Key], Any], function: Callable[..., Any], batch: tuple
) -> Callable[..., Snapshot]:
  """Takes a model apart.

  Args:
    init, batch: see `audit.audit`; of the batch only shapes and dtypes are
      used.
    function: the model, see there.

  Returns:
    `(params, batch, cotangent=None) -> Snapshot`. `cotangent` is the key of the
    standard normal cotangent of an output that is no loss.

  Raises:
    UserError: the model cannot be audited.
  """
  zeros = lambda x: jnp.zeros(jnp.shape(x), jnp.result_type(x))
  with jax.ensure_compile_time_eval():
    parts = models.take_apart(init, function, jax.tree.map(zeros, batch))
  namer = results.Namer(parts, {})

  def look(
    params: Any, batch: tuple, cotangent: base.Key | None = None
  ) -> Snapshot:
    found = measured(parts, {}, params, batch, cotangent)
    return Snapshot(
      {
        namer.site_names[site.number]: _site(parts, site.number, found)
        for site in namer.sites
      },
      tuple(_residual(found.stats[each.number]) for each in namer.residuals),
      found.output,
    )

  return look


def measured(
  parts: models.Model,
  steepest: Mapping[int, float],
  params: Any,
  batch: tuple,
  cotangent: base.Key | None,
) -> measure.Measurement:
  """Runs one draw of a model with its places measured, see `measure.measure`.

  Args:
    parts: the model, taken apart.
    steepest: of its activations, see there.
    params, batch: pytrees.
    cotangent: the key of a standard normal cotangent; None for a loss.
  """
  pairs = list(zip(jax.tree.leaves(params), parts.floating, strict=True))
  weights = [leaf for leaf, real in pairs if real]
  rest: list[Any] = [None if real else leaf for leaf, real in pairs]
  return measure.measure(
    parts.plan,
    steepest,
    weights,
    [*rest, *jax.tree.leaves(batch)],
    parts.output,
    cotangent,
  )


def _site(
  parts: models.Model, number: int, found: measure.Measurement
) -> Measured:
  up, down = found.stats[number], found.backward
  site = {
    'forward_mean': up['forward'].mean,
    'forward_rms': moments.root_of(up['forward']),
    'backward_rms': moments.root_of(down['output'][number]),
  }
  if 'input' in up:
    site['input_rms'] = moments.root_of(up['input'])
  if number in parts.plan.whole:
    leaf = sum(parts.floating[: parts.plan.whole[number]])
    gradient = found.leaves[leaf]['gradient']
    site['weight_gradient'] = moments.root_of(gradient)
  elif number in down['weight']:
    site['weight_gradient'] = moments.root_of(down['weight'][number])
  return site


def _residual(found: Mapping[str, Any]) -> Measured:
  return {
    _SIZES.get(name, name): moments.root_of(value) if name in _SIZES else value
    for name, value in found.items()
  }
