"""The audit of any JAX model: what its initialization does, over many seeds.

    def model(params, x, y):
      logits = network.apply(params, x)
      return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    found = audit(lambda key: network.init(key, x), model, (x, y))

The model is not changed: it is traced, its program is taken apart (`sites`) and
run with measurements between its operations (`measure`).
"""

from collections.abc import Callable, Iterable
import dataclasses
from typing import Any

import jax
import numpy as np

from initlab import base, keys
from initlab.models import (
  model as models,
  moments,
  places,
  recognize,
  repeats,
  results,
  snapshot,
)


@dataclasses.dataclass(frozen=True)
class Audit:
  """What was measured of a model at initialization, over seeds.

  seeds: `[S]` ascending.
  root_seed: the seed of the study.
  sites: where weights meet data, in the order of the program.
  activations: elementwise functions, in that order.
  residuals: residual adds, in that order.
  leaves: the params, in the order of `jax.tree.leaves`.
  opaque: what the audit did not look into.
  scalar: whether the model returns a loss. If not, dC/ds is the pull-back of a
    standard normal cotangent of the output, so that the sum of its squares is,
    on average, the squared Frobenius norm of the output's Jacobian.
  measured: of the model as a whole, name -> `[S]`, see `places.MEASURES`.
  """

  seeds: np.ndarray
  root_seed: int
  sites: tuple[places.Site, ...]
  activations: tuple[places.Activation, ...]
  residuals: tuple[places.Residual, ...]
  leaves: tuple[places.Leaf, ...]
  opaque: tuple[places.Opaque, ...]
  scalar: bool
  measured: places.Measured

  @property
  def measured_leaves(self) -> tuple[places.Leaf, ...]:
    """The leaves with measures: those of real numbers, of one at least."""
    return tuple(leaf for leaf in self.leaves if leaf.measured)

  @property
  def all_places(self) -> list[tuple[str, places.Place]]:
    """Each place with its kind: 'site', 'activation', 'residual' or 'leaf'."""
    kinds = {
      'site': self.sites,
      'activation': self.activations,
      'residual': self.residuals,
      'leaf': self.leaves,
    }
    return [(kind, each) for kind, found in kinds.items() for each in found]

  def to_frame(self):
    """A tidy `pandas.DataFrame`, one row a seed, iteration and measure.

    Returns:
      Columns `kind` ('site', 'activation', 'residual', 'leaf' or 'model'),
      `name` of the place, `measure`, `seed`, `iteration` (counted over all
      loops that the place is in; 0 outside of loops) and `value`.
    """
    import pandas as pd

    tables = [
      (kind, each.name, each.measured) for kind, each in self.all_places
    ]
    tables.append(('model', 'model', self.measured))
    return pd.concat(
      _table(kind, name, measure_name, self.seeds, values)
      for kind, name, measured in tables
      for measure_name, values in measured.items()
    ).reset_index(drop=True)


def _table(
  kind: str,
  name: str,
  measure_name: str,
  seeds: np.ndarray,
  values: np.ndarray,
):
  import pandas as pd

  flat = places.by_iteration(values)
  rows, iterations = np.indices(flat.shape)
  return pd.DataFrame(
    {
      'kind': kind,
      'name': name,
      'measure': measure_name,
      'seed': seeds[rows.ravel()],
      'iteration': iterations.ravel(),
      'value': flat.ravel(),
    }
  )


def audit(
  init: Callable[[base.Key], Any],
  model: Callable[..., Any],
  batch: Any,
  *,
  seeds: int | Iterable[int] = 32,
  root_seed: int = 0,
  lanes: int = 1,
) -> Audit:
  """Audits a model at initialization.

  Args:
    init: `key -> params`, any pytree of arrays; its keys are
      `keys.at(keys.root(root_seed), seed)`.
    model: `(params, *batch) -> output or loss`. Of a pytree, its first
      floating-point leaf is meant; a loss is a scalar.
    batch: the tuple of the other arguments, any pytrees; what is not a tuple is
      the only one. A function `(key, size) -> batch` draws 16 examples.
    seeds: how many initializations are measured, or which.
    root_seed: the seed of the study.
    lanes: how many seeds are measured at once.

  Returns:
    An `Audit`.

  Raises:
    UserError: what is given cannot be audited; the sentence says why.
  """
  if lanes < 1:
    raise base.UserError(f'lanes={lanes}: at least 1')
  chosen = keys.seeds(seeds)
  batch = models.batch_of(batch)
  parts = models.take_apart(init, model, batch)
  functions = recognize.recognize(list(parts.plan.activations.values()))
  steepest = {number: each.steepest for number, each in functions.items()}
  root, down = keys.root(root_seed), keys.stream(keys.root(root_seed), 'down')

  def one(seed: base.Array):
    params = init(keys.at(root, seed))
    key = None if parts.scalar else keys.at(down, seed)
    measured = snapshot.measured(parts, steepest, params, batch, key)
    return {
      'output': moments.spread(measured.output),
      'stats': measured.stats,
      'backward': measured.backward,
      'leaves': measured.leaves,
      'even_loss': measured.even_loss,
      'starts': [
        repeats.start(leaf)
        for leaf, real in zip(
          jax.tree.leaves(params), parts.floating, strict=True
        )
        if real and leaf.size
      ],
    }

  batch_size = {} if lanes == 1 else {'batch_size': min(lanes, len(chosen))}
  run = jax.jit(lambda numbers: jax.lax.map(one, numbers, **batch_size))
  found = jax.tree.map(np.asarray, run(chosen))
  collected = results.collect(parts, functions, found, len(chosen))
  layers = {leaf for s in collected.sites if s.stacked for leaf in s.leaves}
  noted = repeats.noted(collected.leaves, found['starts'], layers)
  return Audit(
    seeds=chosen,
    root_seed=root_seed,
    opaque=parts.opaque,
    scalar=parts.scalar,
    **collected._replace(leaves=noted)._asdict(),
  )
