"""Made-up runs of the experiments of the atlas, of which every claim holds."""

import functools
import itertools

import numpy as np

from experiments.atlas import (
  claims_trainability,
  jacobian_spectrum,
  log_normal,
  phase_diagram,
  residual_growth,
  trainability,
)
from tests.helpers.synthetic import noisy, outcome


@functools.cache
def _predicted(weight: float, bias: float):
  """Theory of a setting of the phase diagram, which takes a second."""
  config = phase_diagram.Config(weight_variance=weight, bias_variance=bias)
  return phase_diagram.predict(config, None)


def phases():
  """Ordered, critical and chaotic settings, as theory has them."""
  found = []
  for weight, bias in itertools.product((1.0, 1.760955, 4.0), (0.05,)):
    knobs = {'weight_variance': weight, 'bias_variance': bias}
    predicted = dict(_predicted(weight, bias))
    measured = {
      name: noisy(predicted[name], 0.005)
      for name in ('last_variance', 'last_correlation', 'chi_1', 'decay')
    }
    found.append(outcome('atlas.phase_diagram', knobs, measured, predicted))
  return found


def lengths():
  """2000 networks of two shapes, their lengths exactly log-normal."""
  found = []
  for width, depth in ((100, 20), (200, 20)):
    knobs = {'width': width, 'depth': depth}
    predicted = log_normal.predict(log_normal.Config(**knobs), None)
    mean, variance = (
      float(predicted[name]) for name in ('last_log_length', 'last_scatter')
    )
    draws = np.random.default_rng(0).normal(size=2000)
    draws = (draws - draws.mean()) / draws.std()
    lengths = np.exp(2 * (mean + variance**0.5 * draws))
    lengths *= predicted['length_square'] / lengths.mean()
    measured = {
      'last_log_length': mean + variance**0.5 * draws,
      'last_scatter': variance * draws**2,
      'length_square': lengths,
    }
    found.append(outcome('atlas.log_normal', knobs, measured, predicted))
  return found


def spectra():
  """Three activations, two kinds of weights, all as theory has them."""
  found = []
  for activation, weights in itertools.product(
    ('identity', 'relu', 'tanh'), ('orthogonal', 'normal')
  ):
    knobs = {'activation': activation, 'weights': weights, 'depth': 4}
    config = jacobian_spectrum.Config(**knobs)
    predicted = jacobian_spectrum.predict(config, None)
    isometric = (activation, weights) == ('identity', 'orthogonal')
    measured = {
      'singular_values': np.ones((16, 4, 10)),
      'isolated': noisy([0.0, 0.1, 0.2, 0.3]),
      'variance': noisy(predicted['variance'], 0.02),
      # By theory tanh with normal weights has 3.5 at this depth.
      'last_largest': noisy(predicted['last_largest'], 0.02),
      'distance': np.full(16, 1e-6) if isometric else noisy(0.02, 0.1),
    }
    found.append(outcome('atlas.jacobian_spectrum', knobs, measured, predicted))
  return found


def linear_nets(deep_normal=400.0, deep_orthogonal=50.0):
  """The steps until learned at two depths and three rates."""
  times = {
    ('orthogonal', 2): 50.0,
    ('orthogonal', 16): deep_orthogonal,
    ('lecun_normal', 2): 60.0,
    ('lecun_normal', 16): deep_normal,
  }
  found = []
  for (init, depth), time in times.items():
    for rate, factor in ((0.05, np.nan), (0.01, 1.0), (0.002, 5.0)):
      knobs = {'init': init, 'depth': depth, 'learning_rate': rate}
      measured = {'learning_time': noisy(time * factor, 0.05)}
      found.append(outcome('atlas.learning_time', knobs, measured))
  return found


def isometries(power=0.5, slow=120.0):
  """Times at three depths and rates; all but the isometric are slow."""
  found = []
  for activation, weights, depth, (rate, factor) in itertools.product(
    ('tanh', 'relu'),
    ('orthogonal', 'normal'),
    (8, 24, 72),
    ((1.0, 1.5), (2.0, 1.0), (4.0, np.nan)),
  ):
    isometric = (activation, weights) == ('tanh', 'orthogonal')
    time = 4 * depth**power if isometric else slow
    knobs = {'activation': activation, 'weights': weights, 'depth': depth}
    knobs |= {'scaled_rate': rate, 'steps': 1000}
    measured = {'learning_time': noisy(time * factor, 0.05)}
    found.append(outcome('atlas.isometry_training', knobs, measured))
  return found


def residuals():
  """The four kinds of branches, as theory has them."""
  found = []
  for branch in ('plain', 'scaled', 'skip_init', 'fixup'):
    config = residual_growth.Config(branch=branch)
    predicted = residual_growth.predict(config, None)
    measured = {
      'growth': noisy(predicted['growth'], 0.005),
      'difference': np.zeros(16),
      'jacobian_difference': np.zeros(16),
    }
    found.append(
      outcome('atlas.residual_growth', {'branch': branch}, measured, predicted)
    )
  return found


def trained_map(multiple=6.0):
  """Both phases and the critical point; accuracy falls at so many xi_c."""
  found = []
  for weight, depth in itertools.product(
    (1.0, 1.760955, 4.0), (10, 20, 40, 80)
  ):
    knobs = {'weight_variance': weight, 'depth': depth}
    scale = claims_trainability.depth_scale(trainability.Config(**knobs))
    share = depth / (multiple * scale)
    measured = {'accuracy': noisy(0.1 + 0.8 / (1 + share**8))}
    found.append(outcome('atlas.trainability', knobs, measured))
  return found


def rectifiers():
  """22 and 30 layers: He's learn, Xavier's only if there are 22."""
  found, prior = [], 2.0839
  for init, depth in itertools.product(('he_normal', 'lecun_normal'), (21, 29)):
    he = init == 'he_normal'
    final = 1.89 if he else 2.0 if depth == 21 else prior
    measured = {
      'output_rms': noisy(0.6) * (1 if he else 2 ** (-(depth + 1) / 2)),
      'mean_loss': noisy([2.3, (final + prior) / 2, final], 1e-3),
      'final_loss': noisy(final, 1e-3),
    }
    knobs = {'init': init, 'depth': depth}
    predicted = {'prior': np.array(prior)}
    found.append(outcome('atlas.rectifier_depth', knobs, measured, predicted))
  return found


def deep_residuals():
  """All learn but for 1,000 plain blocks, which diverge."""
  found = []
  for branch, depth, rate in itertools.product(
    ('plain', 'skip_init', 'fixup'), (10, 1000), (0.1, 0.01)
  ):
    lost = branch == 'plain' and depth == 1000
    knobs = {'branch': branch, 'depth': depth, 'learning_rate': rate}
    measured = {'accuracy': np.full(16, np.nan) if lost else noisy(0.9)}
    found.append(outcome('atlas.residual_training', knobs, measured))
  return found


def coordinates(power=0.6):
  """muP is level; in standard the output grows as this power of the width."""
  found = []
  for name, width in itertools.product(('mup', 'standard'), (64, 256, 1024)):
    output = 0.1 * (width / 64) ** (0.0 if name == 'mup' else power)
    knobs = {'parametrization': name, 'width': width}
    measured = {'moved': noisy(np.tile([0.1, 0.1, 0.1, output], (4, 1)))}
    found.append(outcome('atlas.coordinate_check', knobs, measured))
  return found


def transfers(mup=0.0, standard=-2.5):
  """The best rates, so many octaves further where nets are wide."""
  found = []
  for name, width, power in itertools.product(
    ('mup', 'standard'), (64, 512), range(-13, -4)
  ):
    shift = (mup if name == 'mup' else standard) if width == 512 else 0.0
    best = noisy(-8 + shift)
    knobs = {'parametrization': name, 'width': width}
    knobs['learning_rate'] = 2.0**power
    measured = {'mean_loss': np.exp(0.1 * (power - best) ** 2)}
    found.append(outcome('atlas.rate_transfer', knobs, measured))
  return found


def schemes(he=0.95, orthogonal=1.0, selu=1.0):
  """Deep networks that keep the signal, and learn, as the papers say."""
  kept = {
    ('relu', 'lecun_normal', 1.4142): (he**49, 2.2),
    ('relu', 'lecun_normal', 1.0): (0.67**49, 2.3),
    ('tanh', 'orthogonal', 1.0): (0.5, orthogonal),
    ('tanh', 'lecun_uniform', 0.57735): (1e-12, 2.3),
    ('selu', 'lecun_normal', 1.0): (selu, 1.5),
  }
  found = []
  for (activation, init, gain), (signal, loss) in kept.items():
    knobs = {'activation': activation, 'init': init, 'gain': gain}
    measured = {
      'signal_kept': noisy(signal),
      'gradient_kept': noisy(signal),
      'mean_loss': noisy(loss, 0.005),
      'diverged': np.zeros(16),
    }
    found.append(outcome('atlas.schemes', knobs, measured))
  return found


def depths(complete=0.0, half=-0.5, none=-0.5):
  """The best rates, which move by so many octaves for each of depth."""
  slopes = {1.0: complete, 0.5: half, 0.0: none}
  found = []
  for (exponent, slope), depth, power in itertools.product(
    slopes.items(), (2, 4, 16), range(-9, 0)
  ):
    best = noisy(-4 + slope * np.log2(depth / 2))
    knobs = {'exponent': exponent, 'depth': depth}
    knobs['learning_rate'] = 2.0**power
    measured = {'mean_loss': np.exp(0.1 * (power - best) ** 2)}
    found.append(outcome('atlas.depth_transfer', knobs, measured))
  return found
