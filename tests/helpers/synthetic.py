"""Made-up runs of experiments, of which every claim holds.

A function returns the outcomes of one run. Seeds differ by noise of mean 0,
which leaves intervals narrow. `change` and `only` make another run of it.
"""

import dataclasses
import importlib
import itertools

import numpy as np

from experiments.glorot2010 import table_1
from initlab.experiment import Outcome
from tests.helpers import trainings

SEEDS = 16


def noisy(values, size=0.01, seeds=SEEDS):
  """`[S, ...]`: the values times 1 and noise of that standard deviation."""
  values = np.asarray(values, float)
  noise = np.random.default_rng(0).normal(0, size, (seeds, *values.shape))
  return values * (1 + noise - noise.mean(0))


def outcome(experiment, knobs, measured, predicted=None, steps=()):
  """One setting of an experiment, of as many seeds as the measured have."""
  module = importlib.import_module(f'experiments.{experiment}')
  config = module.EXPERIMENT.config(**knobs)
  label = ', '.join(f'{name} {value}' for name, value in knobs.items())
  seeds = np.arange(len(next(iter(measured.values()))))
  return Outcome(config, label, seeds, measured, predicted or {}, steps)


def _fits(each, knobs):
  return all(getattr(each.config, k) == value for k, value in knobs.items())


def change(field, function, **knobs):
  """`outcomes -> outcomes` with a measure changed, where knobs are these."""
  return _change('measured', field, function, knobs)


def expect(field, function, **knobs):
  """`outcomes -> outcomes` with a prediction changed, where knobs are these."""
  return _change('predicted', field, function, knobs)


def _change(part, field, function, knobs):
  def changed(outcomes):
    assert any(_fits(each, knobs) for each in outcomes), knobs
    return [one(each) if _fits(each, knobs) else each for each in outcomes]

  def one(outcome):
    fields = getattr(outcome, part)
    return outcome._replace(
      **{part: {**fields, field: function(fields[field])}}
    )

  return changed


def only(**knobs):
  """`outcomes -> outcomes` with these values of their knobs alone."""
  return lambda outcomes: [each for each in outcomes if _fits(each, knobs)]


def configured(**knobs):
  """`outcomes -> outcomes`, the measured ones of other settings."""
  return lambda outcomes: [
    each._replace(config=dataclasses.replace(each.config, **knobs))
    for each in outcomes
  ]


def first_seeds(count):
  """`outcomes -> outcomes` of the first seeds alone."""
  return lambda outcomes: [
    each._replace(
      seeds=each.seeds[:count],
      measured={name: x[:count] for name, x in each.measured.items()},
    )
    for each in outcomes
  ]


def every_seed(outcomes, step):
  """The outcomes of every so many seeds."""
  return [
    each._replace(
      seeds=each.seeds[::step],
      measured={name: x[::step] for name, x in each.measured.items()},
    )
    for each in outcomes
  ]


def of_seed(index, value):
  """`values -> values` of which one seed has another value throughout."""

  def function(values):
    values = np.array(values, float)
    values[index] = value
    return values

  return function


def always(value):
  """`values -> values` that are all the same."""
  return lambda values: np.full_like(np.asarray(values, float), value)


# Lectures.


def descent():
  """40 steps at nine rates, by the closed form."""
  found, steps = [], np.arange(41)
  for rate in (-0.01, 0.0, 0.01, 0.05, 0.1, 0.15, 0.19, 0.2, 0.21):
    factor = 0.0 if rate == 0.1 else -1.0 if rate == 0.2 else 1 - 10 * rate
    x = -0.3 + 4.3 * factor**steps
    measured = {
      'x': x[None].astype(np.float32),
      'distance': np.abs(x + 0.3)[None],
      'error': np.full((1, 41), 1e-15),
    }
    found.append(
      outcome(
        'lectures.descent',
        {'learning_rate': rate},
        measured,
        steps=tuple(range(41)),
      )
    )
  return found


def basins():
  """200 starts, of which 60.4% are to the right of the hill."""
  start = np.linspace(-1.9, 2.9, 200)
  x = np.stack([start, np.where(start > 0, 2.0, -1.0)], axis=1)
  return [
    outcome('lectures.basins', {}, {'start': start, 'x': x}, steps=(0, 200))
  ]


def convex():
  """Both tasks from zeros and from two scales, 64 data sets."""
  measured = {
    'excess': np.tile([1.0, 1e-15], (64, 1)),
    'chi_square': noisy(3.0, 0.8, seeds=64),
    'start_error': np.zeros(64),
    'start_slope': noisy(0.3, seeds=64),
  }
  settings = itertools.product(('linear', 'logistic'), (0.0, 0.1, 5.0))
  return [
    outcome(
      'lectures.convex',
      {'task': task, 'scale': scale},
      measured,
      steps=(0, 400),
    )
    for task, scale in settings
  ]


def symmetry():
  """Constants just above the cost of one unit; nearly all random ones solve."""
  found = []
  for init, activation, depth in itertools.product(
    ('constant', 'random'), ('tanh', 'relu'), (1, 3)
  ):
    constant = init == 'constant'
    cost = np.full(50, 0.48 if constant else 0.01)
    if not constant:
      cost[:5] = 0.48
    measured = {
      'mean_loss': np.stack([np.full(50, 0.7), cost], axis=1),
      'final_loss': cost,
      'difference': np.full((50, 2), 0.0 if constant else 1.0),
      'rank': np.full((50, depth + 1), 1.0 if constant else 2.0),
    }
    knobs = {'init': init, 'activation': activation, 'depth': depth}
    found.append(outcome('lectures.symmetry', knobs, measured, steps=(0, 1000)))
  return found


def saddle():
  """Zeros and glorot with one and two hidden layers."""
  found = []
  for init, depth in itertools.product(('zeros', 'glorot'), (1, 2)):
    zeros, curvature = init == 'zeros', -1.06 if depth == 1 else 0.0
    measured = {
      'gradient': np.full((SEEDS, 2), 0.0 if zeros else 0.3),
      'bias_gradient': np.tile([0.08, 1e-12], (SEEDS, 1)),
      'excess': np.tile([0.01, 0.0], (SEEDS, 1)),
      'final_curvature': np.full(SEEDS, curvature),
    }
    if not zeros:
      measured['excess'] = noisy([0.1, -1.9])
    predicted = {'final_curvature': np.array(curvature)} if zeros else {}
    knobs = {'init': init, 'depth': depth}
    found.append(
      outcome('lectures.saddle', knobs, measured, predicted, (0, 40))
    )
  return found


def epsilon(seeds=24):
  """Five decades: solved from 0.1 to 1, saturated at 100."""
  found = []
  noise = noisy(1.0, 0.1, seeds)
  for scale in (0.001, 0.1, 1.0, 100.0):
    theta = np.random.default_rng(1).uniform(-scale, scale, (seeds, 110))
    theta = theta.astype(np.float32)
    solved = 0.1 <= scale <= 1
    measured = {
      'steps_to_solve': 70 * noise if solved else np.full(seeds, 2000.0),
      'solved': np.full(seeds, float(solved)),
      'largest': np.abs(theta).max(1),
      'mean': theta.mean(1),
      'variance': (theta**2).mean(1),
      'gradient_norm': min(scale, 1.0) ** 2 * noise,
      'saturated': noisy(0.3 if scale <= 1 else 0.95, seeds=seeds),
    }
    found.append(outcome('lectures.init_scale', {'epsilon': scale}, measured))
  return found


def saturation():
  """Both laws from 50 to 3000 inputs, as theory has it."""
  module, found = importlib.import_module('experiments.lectures.saturation'), []
  for init, inputs in itertools.product(
    ('uniform', 'normal'), (50, 100, 1000, 3000)
  ):
    knobs = {'init': init, 'inputs': inputs}
    predicted = module.predict(module.Config(**knobs), None)
    measured = {name: noisy(x, 1e-3) for name, x in predicted.items()}
    measured['linear_error'] = np.full(SEEDS, 0.01)
    measured['flat_slope'] = np.full(SEEDS, 0.0176)
    found.append(outcome('lectures.saturation', knobs, measured, predicted))
  return found


def linear_zone():
  """Seeds that start in the zone and leave it."""
  measured = {
    'zone_loss': noisy(np.log(2) - 0.0003, 1e-5),
    'zone_excess': noisy(0.2),
    'zone_bound': noisy(0.02),
    'final_loss': noisy(0.01),
    'final_linear': noisy(0.7),
  }
  return [outcome('lectures.linear_zone', {}, measured)]


def sparsity():
  """Sigmoid units without a bias and with one of -10."""
  found = []
  for bias, mean, active, norm in (
    (0.0, 0.5, 0.99, 0.4),
    (-10.0, 6e-5, 0.0, 1e-4),
  ):
    measured = {
      'mean_activation': noisy(mean),
      'active': np.full(SEEDS, active),
      'gradient_norm': noisy(norm),
    }
    predicted = {'mean_activation': np.array(mean)}
    found.append(
      outcome('lectures.negative_bias', {'bias': bias}, measured, predicted)
    )
  return found


def xavier():
  """Five hidden layers of 30 and of 1000 units, by four kinds of weights."""
  found, ramp = [], np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.0])
  for init, units in itertools.product(
    ('glorot_uniform', 'glorot_normal', 'uniform_tenth', 'normal_tenth'),
    (30, 1000),
  ):
    tenth, many = init.endswith('tenth'), units == 1000
    up, saturated = (0.8, 1e-4) if not tenth else (0.02, 0.3 * many)
    measured = {
      'activation_std': noisy(0.5 * up**ramp),
      'gradient_std': noisy(0.1 * 1.3**ramp),
      'saturated': noisy(np.full(6, saturated)),
    }
    knobs = {'init': init, 'widths': (units,) * 5}
    found.append(outcome('variance', knobs, measured))
  return found


def pace(*ratios):
  """Settings of these ratios, last hidden layer to second, at 50 steps.

  Args:
    *ratios: of gradients and of changes, a setting; if none is given, two steep
      ones, one in between, a level one and one of the other direction.
  """
  return [
    outcome(
      'lectures.layer_speed',
      {'learning_rate': 0.1 + place},
      {'gradient_ratio': noisy(gradient), 'change_ratio': noisy(change)},
    )
    for place, (gradient, change) in enumerate(
      ratios or ((300, 100), (70, 30), (2, 3), (1, 1.2), (0.3, 0.3))
    )
  ]


def gradients():
  """Errors of three nonlinearities at the eight epsilons."""
  errors = [1e-3, 1e-5, 1e-7, 5e-10, 5e-11, 1e-10, 1e-9, 1e-8]
  return [
    outcome(
      'lectures.gradient_checking',
      {'activation': name},
      {
        'error': noisy(errors, 0.1),
        'kinks': np.zeros((SEEDS, 8)),
        'wrong': noisy(0.1),
      },
      steps=tuple(range(1, 9)),
    )
    for name in ('identity', 'tanh', 'relu')
  ]


def methods():
  """Three methods with three records, the first of the common start."""
  ends = np.linspace(0.62, 0.65, SEEDS)
  found = []
  for name, middle, last, needed in (
    ('gd', 1.5, 0.01, np.nan),
    ('cg', 1.0, 0.0, 700.0),
    ('lbfgs', 0.9, 0.0, 300.0),
  ):
    last = ends + noisy(last)
    measured = {
      'mean_loss': np.stack([np.full(SEEDS, 2.3), noisy(middle), last], axis=1),
      'final_loss': last,
      'needed': noisy(needed),
    }
    found.append(
      outcome(
        'lectures.optimizers', {'method': name}, measured, steps=(1, 10, 20)
      )
    )
  return found


def seeds(spread=0.01, related=0.8):
  """Test errors of 200 seeds, of which validation tells so much."""
  test, other = 0.05 + spread * np.random.default_rng(2).normal(size=(2, 200))
  measured = {
    'final_error': test,
    'final_valid_error': related * test + (1 - related) * other,
  }
  return [outcome('learning', {}, measured)]


# Glorot & Bengio 2010.


def samples():
  """Images of two sizes, by the rules."""
  module, found = (
    importlib.import_module('experiments.glorot2010.shapeset_samples'),
    [],
  )
  for side in (64, 32):
    predicted = module.predict(module.Config(side=side), None)
    measured = {name: noisy(x) for name, x in predicted.items()}
    measured['class_share'] = noisy(np.repeat([1 / 6, 1 / 9, 1 / 18], 3))
    found.append(
      outcome(
        'glorot2010.shapeset_samples', {'side': side}, measured, predicted
      )
    )
  return found


def surface():
  """Both costs; the quadratic one is lower and flatter."""
  return [
    outcome(
      'glorot2010.surface',
      {'loss': loss},
      {
        'flat_share': noisy(0.2 * size),
        'plateau_share': noisy(0.1 * size),
        'cost': noisy(np.full(25, 1 / size)),
      },
    )
    for loss, size in (('cross_entropy', 1.0), ('quadratic', 2.0))
  ]


def svm():
  """100,000 examples, the network ahead by 9 percent."""
  errors = {
    name: noisy(value)
    for name, value in (
      ('network_error', 0.5047),
      ('machine_error', 0.5947),
      ('difference', -0.09),
    )
  }
  return [outcome('glorot2010.svm', {'train_size': 100_000}, errors)]


def equations(scale=0.01):
  """All of the equations' settings, as they and the sigmoid have it."""
  module, found = (
    importlib.import_module('experiments.glorot2010.equations'),
    [],
  )
  for init, activation, shape in itertools.product(
    ('standard', 'glorot'), ('tanh', 'sigmoid'), ('equal', 'unequal')
  ):
    knobs = {'init': init, 'activation': activation, 'shape': shape}
    knobs['scale'] = scale
    config = module.Config(**knobs)
    predicted, layers = module.predict(config, None), config.depth
    measured = {name: noisy(x) for name, x in predicted.items()}
    measured['slope_square'] = np.full((SEEDS, layers), 1 - 1e-5)
    if activation == 'sigmoid':
      slope = np.append(np.full(layers - 1, 1 / 17), 1.0)
      measured['slope_square'] = np.tile(slope, (SEEDS, 1))
      measured['activation_variance'] = noisy(np.full(layers, 0.25))
      lost = np.cumprod(slope[::-1])[::-1]
      measured['gradient_variance'] = noisy(
        predicted['gradient_variance'] * lost
      )
    for field in ('chain_error', 'product_error'):
      measured[field] = np.full((SEEDS, layers), 1e-7)
    found.append(outcome('glorot2010.equations', knobs, measured, predicted))
  return found


def as_printed(field):
  """`outcomes -> outcomes` that follow equation 6 or 7 as it is printed."""

  def printed(outcomes):
    found = []
    for each in outcomes:
      extra = each.predicted['backward_factor']
      extra = extra if field == 'gradient_variance' else extra / extra[-1]
      values = {field: each.measured[field] * extra}
      found.append(each._replace(measured=each.measured | values))
    return found

  return printed


def jacobian():
  """The three means, by the closed forms and with what tanh takes of them."""
  means = {
    ('standard', 'identity'): (0.4901, 0.5774, 0.3502),
    ('glorot', 'identity'): (0.8488, 1.0, 0.6065),
    ('standard', 'tanh'): (0.486, 0.573, 0.347),
    ('glorot', 'tanh'): (0.764, 0.907, 0.537),
  }
  names = ('mean_singular_value', 'rms', 'geometric_mean')
  return [
    outcome(
      'glorot2010.jacobian',
      {'init': init, 'activation': activation},
      {
        name: noisy(np.full(6, value), 0.002)
        for name, value in zip(names, three, strict=True)
      },
    )
    for (init, activation), three in means.items()
  ]


def histograms():
  """Five hidden layers: standard weights shrink both, normalized neither."""
  layer, found = np.arange(6), []
  for init, factor in (('standard', 0.57), ('glorot', 0.88)):
    stds = 0.4 * factor**layer
    sample = np.random.default_rng(1).normal(0, 1, (SEEDS, 6, 400))
    measured = {
      'activation_std': noisy(stds),
      'gradient_std': noisy(0.1 * factor ** (5 - layer)),
      'weight_gradient_std': noisy(np.full(6, 0.01)),
      'activation_sample': stds[:, None] * sample,
    }
    found.append(outcome('variance', {'init': init}, measured))
  return found


def _training(row, steps, final_loss=1.5, **fields):
  """`[T, hidden]` of each field, with an output layer added."""
  padded = {
    name: np.pad(np.asarray(x, float), ((0, 0), (0, 1)))
    for name, x in fields.items()
  }
  found = trainings.outcome(
    row, steps=steps, **padded, final_loss=final_loss, final_valid_error=0.5
  )
  return found._replace(predicted={'prior': 2.3})


def figure_2():
  """The top of four layers falls early and escapes late."""
  means = [[0.5] * 4, [0.55, 0.6, 0.7, 0.02], [0.55, 0.6, 0.7, 0.4]]
  return [_training('Sigmoid', (0, 5000, 5_000_000), activation_mean=means)]


def figures_3_and_10():
  """Tanh saturates from the bottom; softsign and tanh N stay together."""
  late = {
    'Tanh': [0.98, 0.97, 0.6],
    'Softsign': [0.7, 0.68, 0.66],
    'Tanh N': [0.7, 0.68, 0.66],
  }
  return [
    _training(
      row,
      (0, 1000, 2_000_000),
      activation_percentile=[[0.6, 0.4, 0.2], [0.97, 0.8, 0.5], end],
    )
    for row, end in late.items()
  ]


def figure_4():
  """Modes at the ends of tanh and at the knees of softsign."""
  values = {'Tanh': [-0.97, 0.97, 0.0, 0.5], 'Softsign': [-0.7, 0.7, 0.1, 0.7]}
  return [
    trainings.outcome(
      row, steps=(0, 2_000_000), activation_sample=np.tile(sample, (2, 1))
    )
    for row, sample in values.items()
  ]


def figure_7(*ratios):
  """Of the first hidden layer over the last, at each record."""
  stds = [[each, 1.0] for each in ratios or (0.1, 2.0, 3.0)]
  return [_training('Tanh', (0, 500, 1000), gradient_std=stds)]


def figure_9():
  """With standard weights the weight gradients come apart."""
  return [
    _training(row, (0, 6000), weight_gradient_std=[[1.0, 1.0], [ratio, 1.0]])
    for row, ratio in (('Tanh', 4.0), ('Tanh N', 1.1))
  ]


def stuck(outcomes):
  """The same run with tanh on the plateau of the class prior."""
  activation, init = table_1.ROWS['Tanh']
  return change('final_loss', always(2.4), activation=activation, init=init)(
    outcomes
  )
