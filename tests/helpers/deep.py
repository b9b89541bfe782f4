"""Made-up runs of deep transformers and ConvNets; every claim holds of them."""

import itertools

import numpy as np

from experiments.atlas import component_moments, signal_plots
from tests.helpers.synthetic import noisy, outcome


def norm_placings(pre=-0.5, post=0.0):
  """Last gradients that are these powers of the depth."""
  found = []
  for norm, blocks in itertools.product(('pre', 'post'), (6, 12, 48)):
    last = noisy((blocks / 6) ** (pre if norm == 'pre' else post))
    measured = {
      'last_gradient': last,
      'first_gradient': last / (1.5 if norm == 'post' else 0.9),
    }
    knobs = {'norm': norm, 'blocks': blocks}
    found.append(outcome('atlas.norm_placing', knobs, measured))
  return found


def collapses():
  """Cubic without skips; alike with them, and level if they are scaled."""
  found = []
  for skips, blocks in itertools.product(('none', 'plain', 'scaled'), (6, 24)):
    knobs = {'skips': skips, 'blocks': blocks}
    predicted = {'last_cosine': np.array(0.3)}
    last = {'none': 1.0, 'plain': 1 - 3 / blocks, 'scaled': 0.3}[skips]
    distance = np.full(blocks, 0.5) ** 3.0 ** np.arange(blocks).clip(max=3)
    measured = {
      'last_cosine': noisy(last),
      'distance': distance ** noisy(1.0)[:, None],
      'last_query_share': noisy(1e-6 if skips == 'none' else 0.5),
    }
    found.append(outcome('atlas.rank_collapse', knobs, measured, predicted))
  return found


def streams():
  """A line, a logarithm and exp(sqrt(l)), as the papers have them."""
  found = []
  for norm, growth, bend in (
    ('layer', 4.0, 1.0),
    ('scaled', 1.0, 0.8),
    ('tanh', 4.0, 2.0),
  ):
    measured = {
      'growth': noisy(growth),
      'bend': noisy(bend),
      'last_variance': noisy(4.0 if norm == 'scaled' else 60.0),
    }
    found.append(outcome('atlas.stream_growth', {'norm': norm}, measured))
  return found


def signals():
  """As theory has it, and with the means that kernels of any mean leave."""
  found = []
  for norm in ('batch', 'expected', 'standardized'):
    config = signal_plots.Config(norm=norm)
    predicted = signal_plots.predict(config, None)
    count = config.stages * config.blocks
    variance = predicted.get('variance', np.ones(count))
    means = np.linspace(0.01, 0.4, count) if norm == 'expected' else 0.001
    measured = {
      'variance': noisy(variance),
      'mean_square': noisy(np.broadcast_to(means, count)),
    }
    found.append(
      outcome('atlas.signal_plots', {'norm': norm}, measured, predicted)
    )
  return found


def components():
  """Two settings of three blocks, as theory has them."""
  found = []
  for logits in (1.0, 16.0):
    knobs = {'logits': logits, 'blocks': 3}
    config = component_moments.Config(**knobs)
    predicted = component_moments.predict(config, None)
    measured = {name: noisy(value) for name, value in predicted.items()}
    found.append(outcome('atlas.component_moments', knobs, measured, predicted))
  return found


def diagrams(betas=(0.5, 4.0)):
  """Cosines and entropies at three residuals, about as theory has them."""
  small, large = betas
  theory = {
    (small, 0.25): (1.0, 1.0),
    (small, 1.0): (0.77, 0.97),
    (small, 2.0): (0.24, 0.91),
    (large, 0.25): (1.0, 1.0),
    (large, 1.0): (0.37, 0.18),
    (large, 2.0): (0.18, 0.15),
  }
  found = []
  for (beta, residual), (cosine, entropy) in theory.items():
    predicted = {'cosine': np.array(cosine), 'entropy': np.array(entropy)}
    measured = {name: noisy(value) for name, value in predicted.items()}
    knobs = {'beta': beta, 'residual': residual}
    found.append(
      outcome('atlas.attention_collapse', knobs, measured, predicted)
    )
  return found


def trained_diagrams():
  """Losses by residual and beta; two are between the lines of theory."""
  losses = {
    (0.5, 0.5): 2.6,
    (2.0, 0.5): 0.2,
    (2.0, 1.0): 0.4,
    (0.5, 4.0): 2.7,
    (2.0, 4.0): 2.5,
  }
  found = []
  for ((residual, beta), loss), rate in itertools.product(
    losses.items(), (0.001, 0.003)
  ):
    knobs = {'beta': beta, 'residual': residual, 'learning_rate': rate}
    measured = {'mean_loss': noisy(loss if rate == 0.001 else 2.77)}
    found.append(outcome('atlas.attention_training', knobs, measured))
  return found
