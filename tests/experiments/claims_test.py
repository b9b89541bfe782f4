"""Every claim has a criterion, and a run that refutes it.

CASES has, for each claim of the experiments and of their collections, a run of
which it holds, runs of which it does not, and runs that cannot tell. A claim
that is not in the table fails the tests.
"""

import dataclasses
import functools
import pathlib
import re
from typing import NamedTuple

import numpy as np
import pytest

from experiments.glorot2010 import runs, table_1
from initlab import claims, stats
from initlab.experiment import Finding
from tests.helpers import atlas, deep, programs, synthetic, trainings
from tests.helpers.synthetic import (
  always,
  change,
  configured,
  expect,
  first_seeds,
  of_seed,
  only,
)

_ROOT = pathlib.Path(__file__).parents[2]


def _stated():
  """Name -> claim, of all experiments and collections."""
  found = {}
  for module in programs.modules().values():
    groups = (
      [module.EXPERIMENT.claims]
      if hasattr(module, 'EXPERIMENT')
      else [chapter.claims or () for chapter in module.COLLECTION.chapters]
    )
    for claim in (claim for group in groups for claim in group):
      assert found.setdefault(claim.name, claim) is claim, claim.name
  return found


_CLAIMS = _stated()


class Case(NamedTuple):
  """What a claim is tested with.

  run: `() -> outcomes` of which it holds.
  refuted: `outcomes -> outcomes`, each of which it does not hold of.
  open: `outcomes -> outcomes`, each of which cannot tell.
  """

  run: object
  refuted: tuple
  open: tuple = ()


def _instead(run, *args, **kwargs):
  """Another run altogether."""
  return lambda outcomes: run(*args, **kwargs)


def _each(*changes):
  """Several changes of one run."""

  def changed(outcomes):
    for one in changes:
      outcomes = one(outcomes)
    return outcomes

  return changed


def _scaled(factor):
  return lambda x: factor * x


def _shifted(by):
  return lambda x: x + by


def _slanted(values):
  """A factor of 1.5 from layer to layer."""
  return values * 1.5 ** np.arange(values.shape[-1])


def _reversed(values):
  return values[:, ::-1]


def _spread(size):
  """So noisy that no interval is narrow."""
  return lambda x: x * synthetic.noisy(np.ones(x.shape[1:]), size, len(x))


def _spread_by_factors(size):
  """Likewise, of what is positive."""
  noise = lambda x: synthetic.noisy(np.ones(x.shape[1:]), size, len(x)) - 1
  return lambda x: x * np.exp(noise(x))


def _late(values):
  """A step later."""
  return np.concatenate([values[:, :1], values[:, :-1]], axis=1)


def _shrinking(values):
  return values[:, :1] * np.linspace(1, 0.5, values.shape[1])


def _last(value):
  """At the last record."""

  def function(values):
    values = np.array(values)
    values[:, -1] = value
    return values

  return function


def _record(place, function):
  """At one record."""

  def changed(values):
    values = np.array(values)
    values[:, place] = function(values[:, place])
    return values

  return changed


_CONSTANT, _RANDOM = {'init': 'constant'}, {'init': 'random'}
_ZEROS, _GLOROT = {'init': 'zeros'}, {'init': 'glorot'}
_STANDARD, _TANH = {'init': 'standard'}, {'activation': 'tanh'}
_SIGMOID = {'activation': 'sigmoid'}
_SMALL, _LARGE = {'epsilon': 0.001}, {'epsilon': 100.0}
_SPARSE, _DENSE = {'bias': -10.0}, {'bias': 0.0}
_LOGISTIC = {'task': 'logistic', 'scale': 0.0}
_FEW, _MANY = {'widths': (30,) * 5}, {'widths': (1000,) * 5}
_QUICK = change('steps_to_solve', _scaled(0.1))

_LECTURES = {
  'lecture 1, closed form': Case(
    synthetic.descent,
    (
      change('error', _shifted(2e-12), learning_rate=0.15),
      change('error', _last(np.nan), learning_rate=0.21),
    ),
  ),
  'lecture 1, rates': Case(
    synthetic.descent,
    (
      change('distance', _reversed, learning_rate=0.01),
      change('distance', _reversed, learning_rate=0.19),
      change('distance', _shrinking, learning_rate=-0.01),
      change('distance', _shrinking, learning_rate=0.0),
      change('distance', _shrinking, learning_rate=0.2),
      change('distance', _shrinking, learning_rate=0.21),
    ),
    (
      only(learning_rate=0.01),
      lambda run: run[2:],
      lambda run: run[:-2],
      lambda run: [*run[:2], *run[-2:]],
    ),
  ),
  'lecture 1, one step': Case(
    synthetic.descent,
    (
      change('distance', _late, learning_rate=0.1),
      change('distance', _last(1.0), learning_rate=0.1),
    ),
    (only(learning_rate=0.2),),
  ),
  'lecture 1, for ever': Case(
    synthetic.descent,
    (change('x', _scaled(np.float32(0.999999)), learning_rate=0.2),),
    (only(learning_rate=0.1), synthetic.configured(start=3.0)),
  ),
  'lecture 1, start': Case(
    synthetic.basins,
    (
      change('start', of_seed(3, 1.0)),
      change('x', _last(2.0)),
      change('x', of_seed(0, 0.5)),
      change('x', of_seed(-1, 0.5)),
    ),
    (change('start', np.abs),),
  ),
  'lecture 1, basins': Case(
    synthetic.basins,
    (
      synthetic.configured(high=2 * 0.45 / 0.55),
      synthetic.configured(high=2 * 0.75 / 0.25),
      change('x', _last(np.nan)),
    ),
    (lambda run: synthetic.every_seed(run, 10),),
  ),
  'lecture 2, recovered': Case(
    synthetic.convex,
    (
      change('chi_square', _scaled(0.25), task='linear', scale=5.0),
      change('chi_square', _scaled(2), task='linear', scale=0.0),
    ),
    (only(task='logistic'), first_seeds(8)),
  ),
  'lecture 2, any start': Case(
    synthetic.convex,
    (
      change('excess', of_seed(5, 2e-8), task='linear', scale=0.1),
      change('excess', of_seed(5, 2e-8), task='linear', scale=0.0),
      change('excess', of_seed(5, np.nan), task='linear', scale=0.1),
    ),
    (only(scale=0.0), only(scale=0.1)),
  ),
  'lecture 4, zeros': Case(
    synthetic.convex,
    (
      change('start_error', of_seed(5, 1e-12), **_LOGISTIC),
      change('start_slope', of_seed(5, 0.0), **_LOGISTIC),
    ),
    (only(task='linear'), only(scale=0.1)),
  ),
  'lecture 4, one optimum': Case(
    synthetic.convex,
    (change('excess', of_seed(5, 2e-8), task='logistic', scale=0.1),),
    (only(scale=0.0), only(scale=0.1)),
  ),
  'lecture 3, alike': Case(
    synthetic.symmetry,
    (
      change('difference', of_seed(3, 2e-12), **_CONSTANT),
      change('difference', of_seed(3, np.nan), **_CONSTANT),
      change('rank', of_seed(3, 2.0), depth=3, **_CONSTANT),
    ),
    (only(**_RANDOM), synthetic.configured(width=1)),
  ),
  'lecture 3, one unit': Case(
    synthetic.symmetry,
    (change('mean_loss', of_seed(3, 0.4772), depth=3, **_CONSTANT),),
    (
      only(**_RANDOM),
      synthetic.configured(activation='sin'),
      change('mean_loss', always(np.nan)),
    ),
  ),
  'lecture 3, random': Case(
    synthetic.symmetry,
    (
      change('final_loss', always(0.5), activation='relu', **_RANDOM),
      change('final_loss', of_seed(3, 0.01), depth=1, **_CONSTANT),
      change('final_loss', always(np.nan), depth=1, **_RANDOM),
    ),
    (only(**_RANDOM), only(**_CONSTANT)),
  ),
  'lecture 5, gradients': Case(
    synthetic.saddle,
    (
      change('gradient', of_seed(1, 1e-30), depth=2, **_ZEROS),
      change('gradient', of_seed(1, np.nan), depth=2, **_ZEROS),
      change('bias_gradient', of_seed(1, 0.0), depth=1, **_ZEROS),
    ),
    (only(**_GLOROT), change('excess', _scaled(0), **_ZEROS)),
  ),
  'lecture 5, prior': Case(
    synthetic.saddle,
    (
      change('excess', of_seed(1, 2e-6), depth=2, **_ZEROS),
      change('excess', of_seed(1, -2e-6), depth=1, **_ZEROS),
      change('excess', of_seed(1, np.nan), depth=1, **_ZEROS),
      change('excess', lambda x: 0.3 + x / 10, depth=2, **_GLOROT),
      change('excess', lambda x: x - x.mean(0), depth=1, **_GLOROT),
    ),
    (only(**_ZEROS), only(**_GLOROT)),
  ),
  'lecture 5, saddle': Case(
    synthetic.saddle,
    (
      change('final_curvature', _scaled(-1), depth=1, **_ZEROS),
      change('final_curvature', _scaled(1.00001), depth=1, **_ZEROS),
      _each(
        change('final_curvature', _scaled(-1), depth=1, **_ZEROS),
        expect('final_curvature', _scaled(-1), depth=1, **_ZEROS),
      ),
    ),
    (only(depth=2), only(**_GLOROT)),
  ),
  'lecture 5, flat': Case(
    synthetic.saddle,
    (change('final_curvature', _shifted(-1e-3), depth=2, **_ZEROS),),
    (only(depth=1), only(**_GLOROT)),
  ),
  'lecture 6, the draw': Case(
    synthetic.epsilon,
    (
      change('largest', of_seed(3, 0.0011), **_SMALL),
      change('largest', _scaled(0.99), **_SMALL),
      change('mean', _shifted(1e-4), **_SMALL),
      change('variance', _scaled(3), **_SMALL),
      change('variance', _scaled(0.25), **_SMALL),
    ),
    (change('mean', lambda x: x * np.tile([-20.0, 20.0], len(x) // 2)),),
  ),
  'lecture 6, too small': Case(
    synthetic.epsilon,
    (
      change('steps_to_solve', _scaled(0.1), **_SMALL),
      change('solved', always(1.0), **_SMALL),
      change('gradient_norm', always(1.0), **_SMALL),
    ),
    (
      lambda run: run[1:],
      lambda run: [*run, *synthetic.configured(activation='relu')(run)],
    ),
  ),
  'lecture 6, too large': Case(
    synthetic.epsilon,
    (
      change('steps_to_solve', _scaled(0.1), **_LARGE),
      change('solved', always(1.0), **_LARGE),
      change('saturated', _scaled(0.4), **_LARGE),
    ),
    (lambda run: run[1:],),
  ),
  'lecture 7, variance': Case(
    synthetic.saturation,
    (change('variance', _scaled(1.05), init='uniform', inputs=50),),
    (
      only(init='uniform'),
      only(inputs=50),
      only(inputs=3000),
      change('variance', _spread(0.3), init='normal', inputs=3000),
    ),
  ),
  'lecture 7, both problematic': Case(
    synthetic.saturation,
    (
      change('variance', _shifted(1.1), init='uniform', inputs=50),
      change('linear', _scaled(0.4), init='normal', inputs=50),
      change('tanh_slope', _shifted(0.5), init='normal', inputs=3000),
    ),
    (only(init='uniform'), only(inputs=50)),
  ),
  'lecture 8, zones': Case(
    synthetic.saturation,
    (
      change('linear_error', of_seed(3, 0.0102), inputs=50),
      change('flat_slope', of_seed(3, 0.018), inputs=3000),
      change('flat_slope', of_seed(3, np.nan), inputs=3000),
    ),
    (change('linear_error', _scaled(0)), change('flat_slope', _scaled(0))),
  ),
  'lecture 8, shares': Case(
    synthetic.saturation,
    (
      change('linear', _scaled(0.9), init='uniform', inputs=1000),
      change('flat', _shifted(0.02), init='normal', inputs=50),
      change('sigmoid_slope', _scaled(0.9), init='normal', inputs=1000),
      _each(
        change('linear', always(1.0), init='uniform'),
        expect('linear', always(1.0), init='uniform'),
      ),
    ),
    (
      only(init='uniform'),
      change('linear', _spread(0.5), init='normal', inputs=1000),
    ),
  ),
  'lecture 8, no better than linear': Case(
    synthetic.linear_zone,
    (
      change('zone_excess', of_seed(3, 1.1)),
      change('zone_loss', of_seed(3, np.log(2) - 0.03)),
      _each(
        change('zone_loss', always(0.6)), change('zone_bound', always(0.2))
      ),
    ),
    (change('final_linear', always(1.0)), change('zone_loss', always(np.nan))),
  ),
  'lecture 9, sparse': Case(
    synthetic.sparsity,
    (
      change('mean_activation', _scaled(4), **_SPARSE),
      change('mean_activation', _scaled(0.9), **_SPARSE),
      _each(
        change('mean_activation', _scaled(4), **_SPARSE),
        expect('mean_activation', _scaled(4), **_SPARSE),
      ),
      change('active', of_seed(3, 0.01), **_SPARSE),
      change('active', _scaled(0.4), **_DENSE),
    ),
    (
      only(**_DENSE),
      synthetic.configured(activation='relu'),
      change('mean_activation', _spread(0.3), **_SPARSE),
    ),
  ),
  'lecture 9, gradient': Case(
    synthetic.sparsity,
    (change('gradient_norm', _scaled(10), **_SPARSE),),
    (only(**_DENSE), synthetic.configured(activation='relu')),
  ),
  'lecture 10, similar ranges': Case(
    synthetic.xavier,
    (
      change(
        'activation_std',
        lambda x: x * 0.3 ** np.arange(6),
        init='glorot_uniform',
        **_FEW,
      ),
      change('gradient_std', _slanted, init='glorot_normal', **_MANY),
    ),
    (only(init='glorot_uniform'), change('activation_std', lambda x: x[:, :2])),
  ),
  'lecture 10, both distributions': Case(
    synthetic.xavier,
    (
      change('activation_std', _scaled(1.3), init='glorot_uniform', **_FEW),
      change('gradient_std', _scaled(1.3), init='glorot_normal', **_MANY),
    ),
    (only(init='glorot_uniform'),),
  ),
  'lecture 10, not of a fixed size': Case(
    synthetic.xavier,
    (
      change('activation_std', always(0.5), init='uniform_tenth', **_FEW),
      change('saturated', _scaled(0.002), init='normal_tenth', **_MANY),
      change('saturated', _scaled(1000), init='glorot_normal', **_FEW),
    ),
    (only(**_FEW), only(**_MANY), only(init='uniform_tenth')),
  ),
  'lecture 11, faster': Case(
    synthetic.pace,
    (
      _instead(synthetic.pace, (300, 1.0), (1, 1.0)),
      _instead(synthetic.pace, (300, 100), (70, 30), (1, 40)),
      _instead(synthetic.pace, (300, 100), (70, 30), (1, 0.3)),
    ),
    (
      _instead(synthetic.pace, (300, 100), (70, 30)),
      _instead(synthetic.pace, (1, 1), (1, 1)),
    ),
  ),
  'lecture 11, in order': Case(
    synthetic.pace,
    (
      _instead(synthetic.pace, (300, 30), (70, 100)),
      _instead(synthetic.pace, (300, 1.0), (1, 1.0)),
      _instead(synthetic.pace, (300, 100), (70, 30), (1, 40)),
    ),
    (_instead(synthetic.pace, (1, 1), (1, 2)),),
  ),
  'lecture 12, right': Case(
    synthetic.gradients,
    (
      change('error', of_seed(3, 2e-9), activation='relu'),
      change('error', of_seed(3, np.nan), activation='relu'),
    ),
    (change('kinks', always(0.1), activation='relu'),),
  ),
  'lecture 12, epsilon': Case(
    synthetic.gradients,
    (change('error', of_seed(3, 2e-9), activation='tanh'),),
    (change('kinks', always(0.1), activation='relu'),),
  ),
  'lecture 12, wrong': Case(
    synthetic.gradients,
    (
      change('wrong', of_seed(3, 1e-4), activation='tanh'),
      change('wrong', of_seed(3, np.nan), activation='tanh'),
    ),
    (only(activation='identity'),),
  ),
  'lecture 13, ahead': Case(
    synthetic.methods,
    (
      change('mean_loss', _record(1, _shifted(1.0)), method='cg'),
      change('mean_loss', _record(2, _shifted(0.02)), method='lbfgs'),
    ),
    (
      only(method='gd'),
      lambda run: [each._replace(steps=(1,)) for each in run],
    ),
  ),
  'lecture 13, flat': Case(
    synthetic.methods,
    (
      change('needed', of_seed(2, np.nan), method='lbfgs'),
      change('needed', of_seed(2, np.nan), method='cg'),
    ),
    (only(method='gd'),),
  ),
  'lecture 13, minima': Case(
    synthetic.methods,
    (change('final_loss', lambda x: 0.6 + 0.1 * (x - 0.6), method='lbfgs'),),
    (
      only(method='gd'),
      change('needed', always(np.nan), method='lbfgs'),
      synthetic.configured(decay=0.0),
    ),
  ),
  'lecture 14, several seeds': Case(
    synthetic.seeds,
    (
      _instead(synthetic.seeds, spread=0.0),
      _instead(synthetic.seeds, related=0.0),
      _instead(synthetic.seeds, related=-3.0),
    ),
    (first_seeds(99), lambda run: [*run, *run]),
  ),
}

_WEIGHTS = ('weight_gradient_variance', _slanted)

_PAPER = {
  'classes': Case(
    synthetic.samples,
    (
      change('class_share', lambda x: 0.1 * x + 0.9 / 9),
      change('class_share', _reversed, side=32),
    ),
    (change('class_share', _spread(1.0), side=32),),
  ),
  'mean grey': Case(
    synthetic.samples,
    (change('pixel_mean', _scaled(-1), side=64),),
    (change('pixel_mean', _spread(20.0), side=64),),
  ),
  'mean square grey': Case(
    synthetic.samples,
    (change('pixel_square', _scaled(0.9), side=32),),
    (change('pixel_square', _spread(0.2), side=64),),
  ),
  'figure 5, plateaus': Case(
    synthetic.surface,
    (
      change('plateau_share', _scaled(5), loss='cross_entropy'),
      change('flat_share', _scaled(0.5), loss='quadratic'),
    ),
    (only(loss='quadratic'),),
  ),
  'figure 5, order': Case(
    synthetic.surface,
    (
      change('cost', of_seed(3, 2.0), loss='quadratic'),
      change('cost', of_seed(3, np.nan), loss='quadratic'),
    ),
    (only(loss='quadratic'),),
  ),
  'support vector machine': Case(
    synthetic.svm,
    (change('difference', _scaled(-1)), change('difference', _spread(5.0))),
    (
      synthetic.configured(train_size=2000),
      synthetic.configured(init='standard'),
    ),
  ),
  'eq. 2': Case(
    synthetic.equations,
    (
      change('chain_error', of_seed(3, 0.1), **_SIGMOID),
      change('chain_error', of_seed(3, np.nan), **_SIGMOID),
    ),
    (lambda run: [each._replace(predicted={}) for each in run],),
  ),
  'eq. 3': Case(
    synthetic.equations,
    (change('product_error', of_seed(3, 0.1), **_SIGMOID),),
    (lambda run: [each._replace(predicted={}) for each in run],),
  ),
  'eq. 4': Case(
    synthetic.equations,
    (change('slope_square', of_seed(3, 0.9), **_TANH),),
    (only(**_SIGMOID), _instead(synthetic.equations, 1.0)),
  ),
  'eq. 5': Case(
    synthetic.equations,
    (change('activation_variance', _slanted, shape='unequal', **_TANH),),
    (
      only(**_SIGMOID),
      _instead(synthetic.equations, 1.0),
      change('activation_variance', _spread(0.3), **_TANH),
    ),
  ),
  'eq. 6': Case(
    synthetic.equations,
    (
      change('gradient_variance', _slanted, shape='unequal', **_TANH),
      synthetic.as_printed('gradient_variance'),
      _each(
        expect('backward_factor', always(1.01)),
        change('gradient_variance', _spread(0.03)),
      ),
    ),
    (
      only(**_SIGMOID),
      _each(only(shape='equal'), only(**_GLOROT)),
      change('gradient_variance', _spread(0.3), shape='equal', **_TANH),
    ),
  ),
  'eq. 7': Case(
    synthetic.equations,
    (
      change(*_WEIGHTS, shape='unequal', **_TANH),
      synthetic.as_printed('weight_gradient_variance'),
      _each(
        expect('backward_factor', lambda x: np.append(0 * x[1:] + 1.01, 1.0)),
        change('weight_gradient_variance', _spread(0.03)),
      ),
    ),
    (only(**_SIGMOID), only(shape='equal')),
  ),
  'eqs. 8 to 11': Case(
    synthetic.equations,
    (
      change('gradient_variance', _slanted, shape='equal', **_GLOROT),
      change('activation_variance', always(1e-4), shape='equal', **_STANDARD),
    ),
    (
      only(shape='unequal'),
      only(**_GLOROT),
      change('activation_variance', _spread(0.3), **_GLOROT),
    ),
  ),
  'eqs. 12, 16': Case(
    synthetic.equations,
    (change('forward_factor', _scaled(1.1), shape='unequal', **_GLOROT),),
    (only(**_STANDARD), change('forward_factor', _spread(0.6), **_GLOROT)),
  ),
  'eqs. 13, 15': Case(
    synthetic.equations,
    (
      change('gradient_variance', _slanted, **_STANDARD),
      change('activation_variance', _slanted, **_STANDARD),
      change('gradient_variance', _scaled(1e-4), **_STANDARD),
    ),
    (only(**_GLOROT), only(shape='unequal')),
  ),
  'eq. 14': Case(
    synthetic.equations,
    (change(*_WEIGHTS, shape='equal', **_STANDARD, **_TANH),),
    (
      only(shape='unequal'),
      change('weight_gradient_variance', _spread(0.3), **_TANH),
    ),
  ),
  'sigmoid, up': Case(
    synthetic.equations,
    (change('activation_variance', always(1e-6), **_SIGMOID),),
    (only(**_TANH),),
  ),
  'sigmoid, down': Case(
    synthetic.equations,
    (
      change('slope_square', always(1.0), **_SIGMOID),
      _each(
        change('slope_square', _scaled(2), **_SIGMOID),
        expect('backward_factor', _scaled(0.5), **_SIGMOID),
      ),
      change('gradient_variance', _slanted, shape='unequal', **_SIGMOID),
    ),
    (only(**_TANH), change('gradient_variance', _spread(0.2), **_SIGMOID)),
  ),
  'eq. 17, normalized': Case(
    synthetic.jacobian,
    (
      change('mean_singular_value', _scaled(1.2), **_GLOROT),
      change('mean_singular_value', _scaled(0.97), **_GLOROT),
    ),
    (only(**_STANDARD), synthetic.configured(widths=(300, 200, 100))),
  ),
  'eq. 17, standard': Case(
    synthetic.jacobian,
    (change('mean_singular_value', _scaled(1.2), **_STANDARD),),
    (only(**_GLOROT), synthetic.configured(widths=(300, 200, 100))),
  ),
  'eq. 17, which mean': Case(
    synthetic.jacobian,
    (
      change('rms', _scaled(0.89), **_TANH),
      change('rms', _spread(0.3), **_TANH),
      change('mean_singular_value', _scaled(1.2), **_STANDARD),
    ),
    (only(**_GLOROT), synthetic.configured(widths=(300, 200, 100))),
  ),
  'quarter circle': Case(
    synthetic.jacobian,
    (change('geometric_mean', _scaled(1.1), activation='identity'),),
    (only(**_TANH), change('rms', _spread(0.5), activation='identity')),
  ),
  'figure 6, standard': Case(
    synthetic.histograms,
    (change('activation_sample', _reversed, **_STANDARD),),
    (only(**_GLOROT), change('activation_sample', lambda x: x[:, :2])),
  ),
  'figure 6, normalized': Case(
    synthetic.histograms,
    (
      change('activation_std', _slanted, **_GLOROT),
      change('activation_std', _spread(0.25), **_GLOROT),
    ),
    (only(**_STANDARD), change('activation_std', lambda x: x[:, :4])),
  ),
  'figure 7, standard': Case(
    synthetic.histograms,
    (change('gradient_std', _reversed, **_STANDARD),),
    (only(**_GLOROT), change('gradient_std', lambda x: x[:, :2])),
  ),
  'figure 7, normalized': Case(
    synthetic.histograms,
    (change('gradient_std', _slanted, **_GLOROT),),
    (only(**_STANDARD), change('gradient_std', lambda x: x[:, :4])),
  ),
  'figure 8': Case(
    synthetic.histograms,
    (
      change('weight_gradient_std', _slanted, **_STANDARD),
      change('weight_gradient_std', _slanted, **_GLOROT),
    ),
    (only(**_STANDARD), change('weight_gradient_std', lambda x: x[:, :4])),
  ),
}


def _means(*rows):
  """Of the hidden layers of figure 2, at its three records."""
  padded = np.pad(np.array(rows, float), ((0, 0), (0, 1)))
  return lambda x: 0 * x + padded


def _shares(knees, beyond):
  """Of the values, so many at softsign's knees and so many beyond them."""

  def function(values):
    place = np.linspace(0, 1, 20, endpoint=False)
    sample = np.where(place < knees + beyond, 0.9, 0.1)
    sample = np.where(place < knees, 0.7, sample)
    return np.broadcast_to(sample, (*values.shape[:2], 20))

  return function


_LONG_ROWS = ([0.5] * 4, [0.55, 0.6, 0.7, 0.02])
_SHORT = (0, 500, 6000)


def _of_steps(steps):
  return lambda run: [each._replace(steps=steps) for each in run]


_FIGURES = {
  'figure 2: top layer': Case(
    synthetic.figure_2,
    (
      change(
        'activation_mean',
        _means([0.5] * 4, [0.55, 0.6, 0.7, 0.3], [0.5, 0.5, 0.5, 0.02]),
      ),
    ),
    (
      _of_steps((0, 60_000, 5_000_000)),
      synthetic.configured(activation='tanh'),
    ),
  ),
  'figure 2: above a half': Case(
    synthetic.figure_2,
    (
      change(
        'activation_mean',
        _means([0.5] * 4, [0.45, 0.6, 0.7, 0.02], [0.6, 0.7, 0.8, 0.4]),
      ),
    ),
    (
      _of_steps((0, 60_000, 5_000_000)),
      change('activation_mean', lambda x: x[:, :, -3:]),
    ),
  ),
  'figure 2: order': Case(
    synthetic.figure_2,
    (
      change(
        'activation_mean',
        _means([0.5] * 4, [0.6, 0.7, 0.55, 0.02], [0.6, 0.7, 0.8, 0.4]),
      ),
    ),
    (
      _of_steps((0, 60_000, 5_000_000)),
      change('activation_mean', lambda x: x[:, :, -3:]),
    ),
  ),
  'figure 2: escape': Case(
    synthetic.figure_2,
    (
      change('activation_mean', _means(*_LONG_ROWS, [0.5, 0.5, 0.5, 0.02])),
      change(
        'activation_mean',
        _means([0.5] * 4, [0.5, 0.5, 0.5, 0.3], [0.5, 0.5, 0.5, 0.6]),
      ),
    ),
    (_of_steps(_SHORT),),
  ),
  'figure 3: tanh': Case(
    synthetic.figures_3_and_10,
    (
      change('activation_percentile', lambda x: x[:, :, [2, 1, 0, 3]], **_TANH),
      change('activation_percentile', _scaled(0.5), **_TANH),
      change(
        'activation_percentile',
        lambda x: np.broadcast_to(x[:, :, :1], x.shape),
        **_TANH,
      ),
    ),
    (_of_steps(_SHORT), only(**_GLOROT)),
  ),
  'figure 3: softsign': Case(
    synthetic.figures_3_and_10,
    (
      change(
        'activation_percentile',
        lambda x: x * np.array([1.0, 0.5, 0.1, 1.0]),
        activation='softsign',
      ),
    ),
    (synthetic.stuck, only(**_TANH)),
  ),
  'figure 10': Case(
    synthetic.figures_3_and_10,
    (
      change(
        'activation_percentile',
        lambda x: x * np.array([1.0, 0.5, 0.1, 1.0]),
        **_GLOROT,
      ),
    ),
    (synthetic.stuck, only(**_GLOROT)),
  ),
  'figure 4: tanh': Case(
    synthetic.figure_4,
    (change('activation_sample', _scaled(0.5), **_TANH),),
    (_of_steps((0, 6000)), only(activation='softsign')),
  ),
  'figure 4: softsign': Case(
    synthetic.figure_4,
    (
      change('activation_sample', _scaled(0.5), activation='softsign'),
      change('activation_sample', _scaled(1.3), activation='softsign'),
      change('activation_sample', _shares(0.1, 0.0), activation='softsign'),
      change('activation_sample', _shares(0.3, 0.4), activation='softsign'),
    ),
    (_of_steps((0, 6000)), only(**_TANH)),
  ),
  'figure 7, then on': Case(
    synthetic.figure_7,
    (
      _instead(synthetic.figure_7, 0.1, 0.2, 0.3),
      _instead(synthetic.figure_7, 0.1, 0.1, 3.0),
      _instead(synthetic.figure_7, 2.0, 2.0, 3.0),
      _instead(synthetic.figure_7, 0.1, 1.0, 1.0),
    ),
    (synthetic.stuck, synthetic.configured(init='glorot')),
  ),
  'figure 9': Case(
    synthetic.figure_9,
    (
      change(
        'weight_gradient_std',
        lambda x: x * np.array([[1, 1, 1], [5.0, 1, 1]]),
        **_GLOROT,
      ),
    ),
    (synthetic.stuck, only(**_STANDARD)),
  ),
  'figure 11': Case(
    trainings.study,
    (
      _instead(trainings.study, trainings.BETTER),
      change('error', always(0.83), activation='softsign', **_GLOROT),
    ),
    (only(**_GLOROT),),
  ),
}


def _row(name):
  """The knobs of a row of table 1."""
  activation, init = table_1.ROWS[name]
  return {'activation': activation, 'init': init}


def _in_reverse(values):
  """Seeds in reverse: their spread is no longer that of the other settings."""
  return values[::-1]


def _lost(row, **knobs):
  """A row of table 1 of which all seeds diverged."""
  return change('final_loss', always(np.nan), **_row(row), **knobs)


_ALIKE = dict.fromkeys(table_1.ROWS, 0.7)
_LONG = {'steps': (0, runs.LONG)}
_ORDERED = {'Tanh': 0.75, 'Sigmoid': 0.9}
_NEAR = functools.partial(trainings.study, spread=0.001)
_ENDED = functools.partial(trainings.study, **_LONG)

_TABLE = {
  'table 1: plateau': Case(
    functools.partial(trainings.study, costs={'Tanh': 50.0}),
    (
      _instead(trainings.study, costs={'Tanh': 1.9}),
      _instead(trainings.study, costs={'Sigmoid': 2.0}),
      change('final_loss', _scaled(0.04), learning_rate=0.01, **_row('Tanh')),
    ),
    (
      only(**_row('Tanh')),
      only(**_row('Sigmoid')),
      _lost('Sigmoid'),
      _lost('Tanh', learning_rate=0.001),
      _instead(trainings.study, rates=(0.01, 0.1, 1.0)),
      _instead(trainings.study, spread=0.1),
    ),
  ),
  'table 1: 2.110 nats': Case(
    _NEAR,
    (
      _instead(_NEAR, costs={'Tanh': 2.3}),
      _instead(_NEAR, costs={'Sigmoid': 1.9}),
      change('final_loss', _shifted(-0.2), learning_rate=0.01, **_row('Tanh')),
    ),
    (
      only(**_row('Tanh')),
      only(**_row('Sigmoid')),
      _lost('Tanh'),
      _instead(trainings.study, spread=0.1),
    ),
  ),
  'table 1: off the plateau': Case(
    trainings.study,
    (
      *(_instead(trainings.study, costs={row: 2.1}) for row in table_1.FREE),
      _instead(trainings.study, costs={'Softsign': 2.05}, spread=0.1),
    ),
    (only(init='standard'), only(init='glorot'), only(activation='tanh')),
  ),
  'table 1: order': Case(
    trainings.study,
    (
      _instead(trainings.study, trainings.BETTER),
      _instead(trainings.study, {'Sigmoid': 0.6}),
      _instead(trainings.study, _ALIKE),
      _each(
        _instead(trainings.study, {'Tanh': 0.702}),
        change('final_error', _in_reverse, **_row('Tanh')),
      ),
    ),
    (
      only(init='standard'),
      only(activation='tanh'),
      first_seeds(8),
    ),
  ),
  'table 1: tanh and sigmoid': Case(
    functools.partial(_ENDED, {'Tanh': 0.27}),
    (
      _instead(_ENDED, {'Tanh': 0.9}),
      _each(
        _instead(_ENDED, {'Tanh': 0.828}),
        change('final_error', _in_reverse, **_row('Tanh')),
      ),
    ),
    (
      _instead(trainings.study, {'Tanh': 0.27}),
      only(activation='tanh'),
      first_seeds(8),
    ),
  ),
  'table 1: tanh N and softsign': Case(
    functools.partial(_ENDED, {'Tanh N': 0.15, 'Softsign': 0.16}),
    (
      _instead(_ENDED, {'Tanh N': 0.16, 'Softsign': 0.15}),
      _each(
        _instead(_ENDED, {'Tanh N': 0.1597, 'Softsign': 0.16}),
        change('final_error', _in_reverse, **_row('Tanh N')),
      ),
    ),
    (
      _instead(trainings.study, {'Tanh N': 0.15, 'Softsign': 0.16}),
      only(init='standard'),
      first_seeds(8),
    ),
  ),
  'table 1: depth of the sigmoid': Case(
    trainings.depths,
    (
      _instead(trainings.depths, 0.8, 0.5),
      _each(
        _instead(trainings.depths, 0.798, 0.8),
        lambda run: [*change('final_error', _in_reverse)(run[:1]), run[1]],
      ),
    ),
    (
      _instead(trainings.depths, steps=(0, 6000)),
      lambda run: run[:1],
      lambda run: run[1:],
      first_seeds(1),
    ),
  ),
  'curvature: a gain': Case(
    trainings.curvature,
    (
      _instead(trainings.curvature, 0.8),
      _each(
        _instead(trainings.curvature, 0.798),
        change('final_error', _in_reverse, optimizer='rmsprop'),
      ),
    ),
    (only(init='standard'), lambda run: run[:3], first_seeds(1)),
  ),
  'curvature: not enough': Case(
    trainings.curvature,
    (
      _instead(trainings.curvature, 0.5),
      _instead(trainings.curvature, normalized=0.9),
      _each(
        _instead(trainings.curvature, 0.798, normalized=0.79),
        change('final_error', _in_reverse, optimizer='rmsprop'),
      ),
    ),
    (only(init='standard'), lambda run: run[:3], first_seeds(1)),
  ),
  'figure 12: sigmoid': Case(
    functools.partial(trainings.study, _ORDERED),
    (
      _instead(trainings.study, _ALIKE),
      _instead(trainings.study, {'Tanh': 0.95, 'Sigmoid': 0.9}),
    ),
    (only(activation='sigmoid'), only(init='standard'), first_seeds(8)),
  ),
  'figure 12: tanh': Case(
    functools.partial(trainings.study, _ORDERED),
    (
      _instead(trainings.study, _ALIKE),
      _instead(trainings.study, {'Tanh': 0.6}),
    ),
    (only(init='standard'), only(init='glorot'), first_seeds(8)),
  ),
}

_ORDERED_PHASE, _CHAOS = {'weight_variance': 1.0}, {'weight_variance': 4.0}
_CRITICAL = {'weight_variance': 1.760955}
_LINEAR = {'activation': 'identity'}
_TANH = {'activation': 'tanh'}
_ORTHOGONAL, _NORMAL = {'weights': 'orthogonal'}, {'weights': 'normal'}
_HE, _XAVIER = {'init': 'he_normal'}, {'init': 'lecun_normal'}
_MUP, _SP = {'parametrization': 'mup'}, {'parametrization': 'standard'}

_ATLAS = {
  'atlas 1, fixed points': Case(
    atlas.phases,
    (
      change('last_variance', _scaled(1.05), **_CHAOS),
      change('last_correlation', _shifted(-0.05), **_ORDERED_PHASE),
    ),
    (
      only(**_ORDERED_PHASE),
      only(**_CHAOS),
      change('last_variance', _spread(0.3), **_CHAOS),
    ),
  ),
  'atlas 1, critical line': Case(
    atlas.phases,
    (
      change('chi_1', always(0.99), **_CHAOS),
      change('chi_1', always(1.01), **_ORDERED_PHASE),
      change('chi_1', _scaled(1.05), **_CRITICAL),
    ),
    (only(**_CHAOS), change('chi_1', _spread(0.3), **_CRITICAL)),
  ),
  'atlas 1, depth scale': Case(
    atlas.phases,
    (change('decay', _scaled(1.05), **_ORDERED_PHASE),),
    (only(**_CHAOS), change('decay', _spread(0.3), **_ORDERED_PHASE)),
  ),
  'atlas 2, trained depth': Case(
    atlas.trained_map,
    (
      _instead(atlas.trained_map, multiple=2.5),
      _instead(atlas.trained_map, multiple=11.0),
    ),
    (
      only(**_ORDERED_PHASE),
      only(depth=10),
      change('accuracy', _spread(0.5), depth=20),
    ),
  ),
  'atlas 2, criticality': Case(
    atlas.trained_map,
    (
      change('accuracy', always(0.3), depth=80, **_CRITICAL),
      change('accuracy', always(np.nan), depth=80, **_CRITICAL),
    ),
    (lambda run: only(**_CHAOS)(run),),
  ),
  'atlas 3, products': Case(
    atlas.spectra,
    (
      change('singular_values', of_seed(3, 1.0001), **_LINEAR, **_ORTHOGONAL),
      change('isolated', always(0.2), **_LINEAR, **_NORMAL),
    ),
    (only(**_ORTHOGONAL), only(activation='relu')),
  ),
  'atlas 3, learning time': Case(
    atlas.linear_nets,
    (
      _instead(atlas.linear_nets, deep_normal=100.0),
      _instead(atlas.linear_nets, deep_orthogonal=150.0),
    ),
    (
      only(init='orthogonal'),
      only(depth=2),
      only(learning_rate=0.05),
    ),
  ),
  'atlas 4, variance': Case(
    atlas.spectra,
    (
      change('variance', _scaled(1.3), activation='relu', **_NORMAL),
      change('variance', _scaled(0.7), activation='tanh', **_ORTHOGONAL),
    ),
    (
      lambda run: only(**_LINEAR)(only(**_ORTHOGONAL)(run)),
      change('variance', _spread(1.0), activation='relu', **_NORMAL),
    ),
  ),
  'atlas 4, densities': Case(
    atlas.spectra,
    (change('distance', always(0.1), activation='relu', **_NORMAL),),
    (lambda run: run[:1],),
  ),
  'atlas 4, isometry': Case(
    atlas.spectra,
    (
      change('last_largest', always(3.0), activation='tanh', **_ORTHOGONAL),
      change('last_largest', always(1.5), activation='relu', **_ORTHOGONAL),
    ),
    (only(**_NORMAL), synthetic.configured(q=0.5)),
  ),
  'atlas 4, square root': Case(
    atlas.isometries,
    (
      _instead(atlas.isometries, power=0.1),
      _instead(atlas.isometries, power=0.9),
    ),
    (
      only(weights='normal'),
      only(depth=72),
      only(scaled_rate=2.0),
      change('learning_time', of_seed(3, np.nan), **_TANH, **_ORTHOGONAL),
    ),
  ),
  'atlas 4, isometry learns': Case(
    atlas.isometries,
    (_instead(atlas.isometries, slow=30.0),),
    (
      only(**_ORTHOGONAL),
      only(**_TANH),
      change('learning_time', of_seed(3, np.nan), **_TANH, **_ORTHOGONAL),
    ),
  ),
  'atlas 5, ratio': Case(
    atlas.rectifiers,
    (
      change('output_rms', _scaled(1.001), depth=29, **_XAVIER),
      change('output_rms', of_seed(3, 1.0), depth=21, **_HE),
    ),
    (only(**_HE), only(**_XAVIER)),
  ),
  'atlas 5, 22 layers': Case(
    atlas.rectifiers,
    (
      change('final_loss', always(2.08), depth=21, **_XAVIER),
      change('mean_loss', _scaled(1.2), depth=21, **_HE),
    ),
    (only(depth=29), only(**_HE), first_seeds(2)),
  ),
  'atlas 5, 30 layers': Case(
    atlas.rectifiers,
    (
      change('final_loss', always(1.95), depth=29, **_XAVIER),
      change('final_loss', always(2.06), depth=29, **_HE),
    ),
    (
      only(depth=21),
      only(**_HE),
      change('final_loss', _spread(0.1), depth=29, **_XAVIER),
    ),
  ),
  'atlas 8, 1,000 blocks': Case(
    atlas.deep_residuals,
    (
      change('accuracy', always(0.9), branch='plain', learning_rate=0.01),
      change('accuracy', always(0.1), branch='fixup', depth=1000),
      change('accuracy', always(np.nan), branch='skip_init', depth=1000),
    ),
    (only(depth=10), only(branch='fixup')),
  ),
  'atlas 8, one rate': Case(
    atlas.deep_residuals,
    (
      _each(
        change('accuracy', always(0.1), depth=1000, learning_rate=0.1),
        change('accuracy', always(0.1), depth=10, learning_rate=0.01),
      ),
    ),
    (only(depth=10), only(branch='plain')),
  ),
  'atlas 9, coordinates': Case(
    atlas.coordinates,
    (
      change('moved', _scaled(1.5), width=1024, **_MUP),
      _instead(atlas.coordinates, power=0.2),
    ),
    (
      only(**_MUP),
      only(width=64),
      change('moved', _spread_by_factors(1.0), width=1024, **_MUP),
    ),
  ),
  'map, rectifiers': Case(
    atlas.schemes,
    (
      _instead(atlas.schemes, he=0.8),
      change('signal_kept', np.ones_like, activation='relu', gain=1.0),
      change('mean_loss', _scaled(1.1), activation='relu', gain=1.4142),
    ),
    (only(activation='tanh'), configured(depth=20)),
  ),
  'map, tanh': Case(
    atlas.schemes,
    (
      _instead(atlas.schemes, orthogonal=2.2),
      change('mean_loss', _scaled(0.5), init='lecun_uniform'),
    ),
    (only(init='orthogonal'), configured(depth=20)),
  ),
  'map, selu': Case(
    atlas.schemes,
    (_instead(atlas.schemes, selu=0.5), _instead(atlas.schemes, selu=1.5)),
    (only(activation='tanh'), configured(depth=20)),
  ),
  'atlas 9, transfer': Case(
    atlas.transfers,
    (
      _instead(atlas.transfers, mup=-1.5),
      _instead(atlas.transfers, standard=-0.5),
    ),
    (
      only(**_SP),
      only(width=64),
      only(learning_rate=2.0**-8),
      _instead(atlas.transfers, standard=-6.0),
    ),
  ),
  'atlas 8, growth': Case(
    atlas.residuals,
    (
      change('growth', _shifted(0.05), branch='plain'),
      change('growth', _shifted(0.05), branch='scaled'),
    ),
    (only(branch='plain'), change('growth', _spread(0.3), branch='plain')),
  ),
  'atlas 8, identity': Case(
    atlas.residuals,
    (
      change('difference', of_seed(3, 1e-8), branch='skip_init'),
      change('jacobian_difference', of_seed(3, 1e-8), branch='fixup'),
    ),
    (only(branch='plain'),),
  ),
  'atlas 6, log-normal': Case(
    atlas.lengths,
    (
      change('last_log_length', _shifted(0.25), width=100),
      change('last_scatter', _scaled(1.3), width=200),
      change('last_scatter', lambda x: np.full_like(x, x.mean()), width=200),
    ),
    (synthetic.configured(width=40), first_seeds(50)),
  ),
  'atlas 6, fourth moment': Case(
    atlas.lengths,
    (change('length_square', _scaled(1.5), width=200),),
    (synthetic.configured(width=40), first_seeds(10)),
  ),
}

_NONE, _PLAIN, _SCALED = ({'skips': x} for x in ('none', 'plain', 'scaled'))
_BATCH, _EXPECTED, _STANDARDIZED = (
  {'norm': x} for x in ('batch', 'expected', 'standardized')
)

_DEEP = {
  'atlas 7, batch': Case(
    deep.signals,
    (
      change('variance', _slanted, **_BATCH),
      change('variance', lambda x: np.sort(x, axis=1), **_BATCH),
    ),
    (
      only(**_EXPECTED),
      synthetic.configured(blocks=18),
      change('variance', _spread(0.5), **_BATCH),
    ),
  ),
  'atlas 7, means': Case(
    deep.signals,
    (
      change('mean_square', always(0.05), **_EXPECTED),
      change('mean_square', _reversed, **_EXPECTED),
      change('mean_square', always(0.1), **_STANDARDIZED),
    ),
    (only(**_EXPECTED), only(**_STANDARDIZED)),
  ),
  'atlas 7, variance': Case(
    deep.signals,
    (change('variance', _scaled(1.3), **_STANDARDIZED),),
    (only(**_BATCH), change('variance', _spread(0.5), **_STANDARDIZED)),
  ),
  'atlas 10, last layer': Case(
    deep.norm_placings,
    (
      _instead(deep.norm_placings, pre=-0.2),
      _instead(deep.norm_placings, post=-0.3),
    ),
    (
      only(norm='pre'),
      only(blocks=6),
      change('last_gradient', _spread(0.3), blocks=48),
    ),
  ),
  'atlas 10, layers': Case(
    deep.norm_placings,
    (
      change('first_gradient', _scaled(2.0), norm='post'),
      change('first_gradient', _scaled(2.5), norm='pre'),
    ),
    (only(norm='pre'), only(blocks=12)),
  ),
  'atlas 10, rank collapse': Case(
    deep.collapses,
    (change('distance', always(0.5), **_NONE),),
    (only(**_PLAIN),),
  ),
  'atlas 10, cosines': Case(
    deep.collapses,
    (
      change('last_cosine', always(0.4), **_PLAIN),
      change('last_cosine', _shifted(0.2), **_SCALED, blocks=24),
    ),
    (
      only(**_PLAIN),
      only(blocks=6),
      change('last_cosine', _spread(0.5), **_SCALED),
    ),
  ),
  'atlas 10, queries': Case(
    deep.collapses,
    (change('last_query_share', always(0.1), **_NONE),),
    (only(**_NONE), only(**_SCALED)),
  ),
  'atlas 11, moments': Case(
    deep.components,
    (
      change('mixed', _scaled(1.3), logits=16.0),
      change('cosine', _shifted(0.1), logits=1.0),
    ),
    (change('hidden', _spread(0.3), logits=1.0),),
  ),
  'atlas 12, stream': Case(
    deep.streams,
    (
      change('growth', always(2.0), norm='layer'),
      change('growth', always(3.0), norm='scaled'),
      change('last_variance', always(70.0), norm='scaled'),
    ),
    (only(norm='layer'), only(norm='scaled')),
  ),
  'atlas 12, Jacobian': Case(
    deep.streams,
    (
      change('bend', always(2.0), norm='layer'),
      change('bend', always(1.0), norm='tanh'),
      change('bend', always(4.0), norm='tanh'),
    ),
    (only(norm='layer'), only(norm='tanh')),
  ),
  'atlas 11, rank collapse': Case(
    deep.diagrams,
    (
      change('cosine', always(0.85), beta=0.5, residual=0.25),
      change('cosine', always(0.6), beta=0.5, residual=2.0),
    ),
    (_instead(deep.diagrams, betas=(2.0, 4.0)),),
  ),
  'atlas 11, entropy collapse': Case(
    deep.diagrams,
    (
      change('entropy', always(0.4), beta=0.5, residual=2.0),
      change('entropy', always(0.6), beta=4.0, residual=2.0),
      change('cosine', always(0.9), beta=4.0, residual=1.0),
    ),
    (only(beta=0.5), only(beta=4.0)),
  ),
  'atlas 11, diagram': Case(
    deep.diagrams,
    (
      change('cosine', _shifted(0.15), beta=4.0, residual=1.0),
      change('entropy', _shifted(-0.15), beta=0.5, residual=2.0),
    ),
    (change('cosine', _spread(0.5), beta=0.5, residual=1.0),),
  ),
  'atlas 11, training after rank collapse': Case(
    deep.trained_diagrams,
    (
      change('mean_loss', always(0.1), beta=0.5, residual=0.5),
      change('mean_loss', always(2.77), residual=2.0),
    ),
    (only(residual=2.0), only(residual=0.5)),
  ),
  'atlas 11, training after entropy collapse': Case(
    deep.trained_diagrams,
    (
      change('mean_loss', always(0.1), beta=4.0),
      change('mean_loss', always(np.nan), residual=2.0),
    ),
    (only(beta=0.5), only(beta=4.0)),
  ),
  'atlas 11, training by the diagram': Case(
    deep.trained_diagrams,
    (
      change('mean_loss', always(0.3), beta=4.0, residual=2.0),
      change('mean_loss', always(2.65), beta=1.0, residual=2.0),
    ),
    (only(beta=1.0), only(residual=0.5)),
  ),
  'atlas 12, CompleteP': Case(
    atlas.depths,
    (
      _instead(atlas.depths, complete=-0.4),
      _instead(atlas.depths, complete=0.4),
    ),
    (
      only(exponent=0.0),
      only(depth=2),
      only(learning_rate=2.0**-4),
      _instead(atlas.depths, complete=-3.0),
    ),
  ),
  'atlas 12, muP': Case(
    atlas.depths,
    (_instead(atlas.depths, none=-0.2), _instead(atlas.depths, none=0.0)),
    (only(exponent=1.0), only(depth=2)),
  ),
  'atlas 12, a = 0.5': Case(
    atlas.depths,
    (_instead(atlas.depths, half=-0.2), _instead(atlas.depths, half=0.2)),
    (only(exponent=1.0), only(depth=2)),
  ),
}

CASES = _LECTURES | _PAPER | _FIGURES | _TABLE | _ATLAS | _DEEP


def _holds(name, outcomes):
  """Whether it does, None where the run cannot tell; it must say why."""
  (found,) = claims.findings([_CLAIMS[name]], outcomes)
  assert found.evidence
  return found.holds


def test_every_claim_is_in_the_table():
  assert set(_CLAIMS) == set(CASES)


@pytest.mark.parametrize('name', sorted(_CLAIMS))
def test_a_check_states_its_criterion_and_what_it_leaves_open(name):
  paragraphs = re.split(r'\n\s*\n', (_CLAIMS[name].check.__doc__ or '').strip())
  for start in ('Holds if ', 'Untested '):
    found = [each for each in paragraphs if each.strip().startswith(start)]
    assert len(found) == 1, f'{len(found)} paragraphs begin with {start!r}'
    assert found[0].rstrip().endswith('.')


def test_a_check_names_the_seeds_that_an_interval_takes():
  words = {5: 'five', 6: 'six', 9: 'nine'}
  checks = [each.check for each in _CLAIMS.values()]
  texts = [each.__doc__ or '' for each in (claims.mean, claims.ratio, *checks)]
  found = re.findall(r'fewer\s+than\s+(\w+)\s+seeds', ' '.join(texts))
  assert len(found) >= 6
  assert set(found) <= {words[stats.FEWEST], words[table_1.PAIRS]}


@pytest.mark.parametrize('name', CASES)
def test_a_claim_holds_of_what_it_describes(name):
  assert _holds(name, CASES[name].run()) is True


@pytest.mark.parametrize('name', CASES)
def test_a_claim_is_refuted(name):
  case = CASES[name]
  run = case.run()
  assert case.refuted
  found = [_holds(name, spoilt(run)) for spoilt in case.refuted]
  assert found == [False] * len(found)


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_a_run_without_what_a_claim_is_about_leaves_it_open(name):
  case = CASES[name]
  run = case.run()
  found = [_holds(name, other(run)) for other in case.open]
  assert [*found, _holds(name, [])] == [None] * (len(found) + 1)


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_one_seed_refutes_no_claim_that_holds_of_many(name):
  one = first_seeds(1)(CASES[name].run())
  assert _holds(name, one) is not False


@pytest.mark.parametrize(
  ('name', 'given', 'more'),
  [
    ('atlas 1, critical line', _CRITICAL, {'depth': 7}),
    (
      'atlas 3, learning time',
      {'learning_rate': 0.002},
      {'learning_rate': 0.1},
    ),
    ('atlas 4, square root', {'scaled_rate': 1.0}, {'scaled_rate': 0.5}),
    ('atlas 4, isometry learns', {'scaled_rate': 1.0}, {'scaled_rate': 0.5}),
    (
      'atlas 11, training by the diagram',
      {'learning_rate': 0.003},
      {'learning_rate': 0.01},
    ),
  ],
)
def test_more_to_agree_or_to_choose_from_widens_the_intervals(
  name, given, more
):
  """Settings that agree as well, or are never chosen, change no value."""
  rng = np.random.default_rng(0)
  scattered = lambda x: x * rng.normal(1, 0.003, np.shape(x))
  run = [
    each._replace(measured={k: scattered(x) for k, x in each.measured.items()})
    for each in CASES[name].run()
  ]
  added = [
    each._replace(config=dataclasses.replace(each.config, **more))
    for each in only(**given)(run)
  ]
  before, after = (
    claims.findings([_CLAIMS[name]], outcomes)[0]
    for outcomes in (run, run + added)
  )
  assert added and before.holds and after.holds
  assert not after.evidence.startswith(before.evidence)


def test_intervals_too_wide_to_tell_leave_an_agreement_open():
  found = claims.finding(None, 'x')
  assert found == Finding(None, 'intervals too wide: x')


def test_part_of_a_claim_that_fails_outweighs_one_that_is_open():
  assert claims.together([True, np.bool_(True)]) is True
  assert claims.together([True, None, np.bool_(False)]) is False
  assert claims.together([True, None]) is None
