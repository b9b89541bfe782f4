"""From what was measured of a model to the places of its audit."""

from collections.abc import Mapping, Sequence
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from initlab import laws
from initlab.models import (
  model as models,
  places,
  plan as plans,
  program as programs,
  recognize,
)
from initlab.models.model import Model


class Results(NamedTuple):
  """The places of an audit; see `audit.Audit`.

  sites, activations, residuals, leaves, measured: as there.
  """

  sites: tuple[places.Site, ...]
  activations: tuple[places.Activation, ...]
  residuals: tuple[places.Residual, ...]
  leaves: tuple[places.Leaf, ...]
  measured: places.Measured


def collect(
  model: Model,
  functions: Mapping[int, recognize.Function],
  found: Mapping[str, Any],
  seeds: int,
) -> Results:
  """The places with what was measured, in double precision.

  Args:
    model: taken apart.
    functions: of its activations, by number.
    found: what `audit.audit` computes, with a first axis of seeds.
    seeds: how many.
  """
  namer = Namer(model, functions)
  wide = jax.tree.map(lambda values: np.asarray(values, np.float64), found)
  stats = wide['stats']
  real = (n for n, floating in enumerate(model.floating) if floating)
  leaves = dict(zip(real, wide['leaves'], strict=True))
  with_weights = tuple(
    namer.site(each, _measured_site(each, wide, leaves, model.plan.whole))
    for each in namer.sites
  )
  residuals = tuple(
    namer.residual(each, _measured_residual(stats[each.number]))
    for each in namer.residuals
  )
  nan = np.full(seeds, np.nan)
  output = wide['output']
  return Results(
    with_weights,
    tuple(
      namer.activation(each, stats[each.number]) for each in namer.activations
    ),
    residuals,
    namer.leaves(leaves),
    {
      'output_mean': nan if model.scalar else output.mean,
      'output_variance': nan if model.scalar else output.variance,
      'loss': output.mean if model.scalar else nan,
      'even_loss': wide['even_loss'],
      'gradient_ratio': _gradient_ratio(with_weights, nan),
      'token_cosine': _token_cosine(residuals, nan),
    },
  )


def _measured_site(
  site: plans.Site,
  found: Mapping[str, Any],
  leaves: Mapping[int, Mapping[str, Any]],
  whole: Mapping[int, int],
) -> places.Measured:
  """Of a site; of a weight that is a whole leaf, what is known of the leaf."""
  up, down = (
    found['stats'][site.number],
    found['backward']['output'][site.number],
  )
  measured = {'input_square': up['input'].rms ** 2} if 'input' in up else {}
  if site.kind == 'product':
    return measured | _up_and_down(up, down)
  if site.number in whole:
    leaf = leaves[whole[site.number]]
    weight = leaf['spread']
    gradient = leaf['gradient'].rms
  else:
    weight = up['weight']
    gradient = found['backward']['weight'][site.number].rms
  square = weight.variance + weight.mean**2
  # How large the sum of squared inputs of one output is.
  inputs = (
    up['windows'].rms ** 2
    if 'windows' in up
    else site.n_in * measured.get('input_square', 1.0)
  )
  bias = up['bias'].rms ** 2 if 'bias' in up else 0.0
  return (
    measured
    | {
      'weight_mean': weight.mean,
      'weight_variance': site.n_in * weight.variance,
      'weight_square': site.n_in * square,
    }
    | _up_and_down(up, down)
    | {'predicted_square': inputs * square + bias, 'weight_gradient': gradient}
  )


def _up_and_down(up: Mapping[str, Any], down: Any) -> dict[str, Any]:
  return {
    'forward_mean': up['forward'].mean,
    'forward_square': up['forward'].rms ** 2,
    'backward_mean': down.mean,
    'backward_square': down.rms**2,
  }


def _measured_residual(found: Mapping[str, Any]) -> places.Measured:
  skip, branch, total = (found[each].rms for each in ('skip', 'branch', 'sum'))
  with np.errstate(divide='ignore', invalid='ignore'):
    measured = {
      'skip_square': skip**2,
      'branch_square': branch**2,
      'sum_square': total**2,
      'branch_over_skip': branch / skip,
      'growth': total / skip,
      'correlation': found['correlation'],
    }
  if 'token_cosine' in found:
    measured['token_cosine'] = found['token_cosine']
  for name in ('skip', 'branch'):
    if f'{name}_offset' in found:
      square = found[f'{name}_offset'].rms ** 2
      variance = measured[f'{name}_square'] - square
      measured[f'{name}_unit_square'] = square
      measured[f'{name}_unit_variance'] = np.maximum(variance, 0.0)
  return measured


def _measured_activation(
  function: recognize.Function, found: Mapping[str, Any]
) -> places.Measured:
  into, out = found['input'], found['output']
  with np.errstate(divide='ignore', invalid='ignore'):
    variance = np.maximum(into.rms**2 - into.mean**2, 0.0)
    predicted_mean, predicted_square = recognize.averages(
      function, into.mean, variance
    )
    growth = np.sqrt(found['slope_square'])
    growth = growth * into.rms / out.rms
    depth = np.log(10) / np.log(growth)
  measured = {
    'input_mean': into.mean,
    'input_square': into.rms**2,
    'output_mean': out.mean,
    'output_square': out.rms**2,
    'predicted_mean': predicted_mean,
    'predicted_square': predicted_square,
    'slope_square': found['slope_square'],
    'dead': found['dead'],
    'chi': growth**2,
    'tenfold_depth': depth,
  }
  if 'saturated' in found:
    measured['saturated'] = found['saturated']
  return measured


def _gradient_ratio(found: Sequence[places.Site], nan: np.ndarray):
  weighed = [s for s in found if s.kind in ('matmul', 'convolution')]
  if len(weighed) < 2:
    return nan
  first, last = weighed[0], weighed[-1]
  gradient = lambda s: places.by_iteration(s.measured['weight_gradient'])
  with np.errstate(divide='ignore', invalid='ignore'):
    return gradient(first)[:, 0] / gradient(last)[:, -1]


def _token_cosine(residuals: Sequence[places.Residual], nan: np.ndarray):
  for each in reversed(residuals):
    if 'token_cosine' in each.measured:
      return places.by_iteration(each.measured['token_cosine'])[:, -1]
  return nan


def _measured_leaf(found: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """Of a leaf, of which each row may have been measured by itself."""
  by_seed = lambda values: values.reshape(len(values), -1)
  spread = jax.tree.map(by_seed, found['spread'])
  mean = spread.mean.mean(1)
  variance = np.mean(spread.variance + (spread.mean - mean[:, None]) ** 2, 1)
  constant = spread.highest.max(1) == spread.lowest.min(1)
  variance = np.where(constant, 0.0, variance)
  return {
    'mean': np.where(constant, spread.highest[:, 0], mean),
    'variance': variance,
    'largest': spread.largest.max(1),
    'gradient': np.mean(by_seed(found['gradient'].rms) ** 2, 1) ** 0.5,
    'square': variance + mean**2,
  }


class Namer:
  """Gives places the names that they have in a report."""

  def __init__(self, model: Model, functions: Mapping[int, recognize.Function]):
    self.model = model
    self.functions = functions
    plan = model.plan
    order = list(programs.deep(plan.program))
    pick = lambda table: [table[op] for op in order if op in table]
    self.sites: list[plans.Site] = pick(plan.sites)
    self.activations: list[plans.Activation] = [
      each for each in pick(plan.activations) if each.number in functions
    ]
    self.residuals: list[plans.Residual] = pick(plan.residuals)
    self.site_names = models.names_of_sites(plan, model.names)
    self.residual_names = {
      each.number: f'add {count}'
      for count, each in enumerate(self.residuals, start=1)
    }

  def site(self, each: plans.Site, measured: places.Measured) -> places.Site:
    """A site as it is reported."""
    names, plan = self.model.names, self.model.plan
    reads: dict[int, int] = {}
    for other in self.sites:
      reads.setdefault(other.reads, len(reads))
    residual = next(
      (r.number for r in self.residuals if each.number in r.sites), None
    )
    return places.Site(
      name=self.site_names[each.number],
      kind=each.kind,
      leaves=tuple(names[leaf] for leaf in each.leaves),
      shape=each.shape,
      n_in=each.n_in,
      n_out=each.n_out,
      axes=each.axes,
      part=each.part,
      iterations=each.iterations,
      stacked=each.stacked,
      output=each.output,
      bias=models.joined(
        [names[leaf] for leaf in plan.biases.get(each.number, ())]
      ),
      activations=tuple(
        self.functions[a.number].name
        for a in self.activations
        if each.number in a.sites
      ),
      logits=each.number in plan.logits,
      residual=self.residual_names[residual] if residual is not None else '',
      reads=reads[each.reads],
      after=tuple(self.site_names[number] for number in each.after),
      uses=sum(bool(set(each.leaves) & set(o.leaves)) for o in self.sites),
      where=each.where,
      measured=measured,
    )

  def activation(self, each: plans.Activation, stats) -> places.Activation:
    """An activation as it is reported."""
    function = self.functions[each.number]
    site = self.site_names[each.sites[0]]
    return places.Activation(
      name=f'{site}: {function.name}',
      function=function.name,
      site=site,
      direct=each.direct,
      gate=each.gate,
      iterations=each.iterations,
      measured=_measured_activation(function, stats),
    )

  def residual(self, each: plans.Residual, measured: places.Measured):
    """A residual add as it is reported."""
    return places.Residual(
      name=self.residual_names[each.number],
      sites=tuple(self.site_names[number] for number in each.sites),
      iterations=each.iterations,
      shape=each.shape,
      where=each.where,
      measured=measured,
    )

  def leaves(
    self, measured: Mapping[int, Mapping[str, Any]]
  ) -> tuple[places.Leaf, ...]:
    """The params as they are reported; only real numbers have measures."""
    found = []
    roles = self.model.plan.roles
    for index, (name, shape, floating) in enumerate(
      zip(self.model.names, self.model.shapes, self.model.floating, strict=True)
    ):
      own, sample = {}, None
      if floating and math.prod(shape.shape):
        own, sample = _measured_leaf(measured[index]), measured[index]['sample']
      role = roles.get(index, 'unused') if floating else 'other'
      family = 'fixed' if sample is None else family_of(sample, own['variance'])
      found.append(
        places.Leaf(name, shape.shape, str(shape.dtype), role, family, own)
      )
    return tuple(found)


def family_of(sample: np.ndarray, variance: np.ndarray) -> str:
  """What the entries of a leaf follow, `[S, 256]` of them."""
  if not np.isfinite(sample).all():
    return 'independent'
  if np.all(variance == 0):
    return 'constant'
  if len(sample) > 1 and np.all(sample == sample[0]):
    return 'fixed'
  centred = sample - sample.mean()
  return laws.family(np.ravel(centred / centred.std()), 1.0)
