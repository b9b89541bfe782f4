"""How a model uses the leaves of its params: the program, taken apart.

What a redraw, a calibration, a parametrization and a coordinate check have in
common: the sites of a model's program, and for each leaf what they do with it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from initlab import base, kernels
from initlab.models import (
  audit as audits,
  leaves,
  model as models,
  places,
  sites,
)


class Use(NamedTuple):
  """What one leaf is to the model.

  name: its path.
  number: its place in `jax.tree.leaves`.
  shape: of the array.
  role: 'weight' (of a site), 'bias', 'scale', 'other' or 'unused'.
  kinds: of the sites that it is the weight of, see `places.Site`.
  axes: which of its axes are what, the same at all of these sites; None without
    a site, or where they are not the same or not known.
  parts: the slice of it that each site uses; empty for all of it.
  layered: whether its first axis is that of a loop over layers.
  repeated: whether a loop uses all of it in every iteration.
  mixed: whether a site's weight is computed from it and other leaves.
  """

  name: str
  number: int
  shape: tuple[int, ...]
  role: str
  kinds: tuple[str, ...]
  axes: kernels.Axes | None
  parts: tuple[tuple[slice, ...], ...]
  layered: bool
  repeated: bool
  mixed: bool

  @property
  def is_kernel(self) -> bool:
    """Whether it is multiplied with data, rather than looked up or added."""
    products = {'matmul', 'convolution'}
    return bool(self.kinds) and set(self.kinds) <= products


class Model(NamedTuple):
  """A model, traced.

  function: `(params, *batch) -> outputs`.
  plan: its program, with the places in it.
  names: number of a site -> its name, see `places.Site`.
  uses: of every leaf of the params, in the order of `jax.tree.leaves`.
  form: the tree of the params.
  output: shapes and dtypes of what the model returns.
  """

  function: Callable[..., Any]
  plan: sites.Plan
  names: dict[int, str]
  uses: tuple[Use, ...]
  form: Any
  output: Any


def trace(model: Callable[..., Any], params: Any, *batch: Any) -> Model:
  """Takes a model apart.

  Args:
    model: `(params, *batch) -> outputs`.
    params: a pytree of arrays, or of their shapes and dtypes.
    *batch: pytrees of arrays, or of their shapes and dtypes.

  Raises:
    UserError: the model does not take these params and this batch, or no
      weight of the params meets data.
  """
  names = leaves.names(params)
  arrays, form = jax.tree.flatten(params)
  plan, _, output = models.planned(model, params, batch)
  if not any(site.leaves for site in plan.sites.values()):
    raise base.UserError(
      'no array of params is multiplied with the batch, so there is no layer: '
      f'the leaves are {", ".join(names) or "none"}'
    )
  used = tuple(
    _use(
      name,
      number,
      tuple(array.shape),
      plan.roles.get(number, 'unused'),
      [site for site in plan.sites.values() if number in site.leaves],
    )
    for number, (name, array) in enumerate(zip(names, arrays, strict=True))
  )
  sites_named = models.names_of_sites(plan, names)
  return Model(model, plan, sites_named, used, form, output)


def of(report: audits.Audit) -> tuple[Use, ...]:
  """The uses of the leaves of a model that was audited."""
  return tuple(
    _use(
      leaf.name,
      number,
      leaf.shape,
      leaf.role,
      [site for site in report.sites if leaf.name in site.leaves],
    )
    for number, leaf in enumerate(report.leaves)
  )


def _use(
  name: str,
  number: int,
  shape: tuple[int, ...],
  role: str,
  found: Sequence[sites.Site | places.Site],
) -> Use:
  axes = [site.axes for site in found]
  same = bool(axes) and all(each == axes[0] for each in axes)
  return Use(
    name,
    number,
    shape,
    role,
    tuple(site.kind for site in found),
    axes[0] if same else None,
    tuple(site.part for site in found),
    any(site.stacked for site in found),
    any(site.iterations and not site.stacked for site in found),
    any(len(site.leaves) > 1 for site in found),
  )
