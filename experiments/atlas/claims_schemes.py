"""What the papers say of schemes that the map compares."""

import numpy as np

from initlab import claims, datasets
from initlab.experiment import Outcome

from . import ranks

FAMILIES = (
  *('lecun_uniform', 'lecun_normal', 'orthogonal'),
  *('looks_linear', 'identity'),
)
STANDARD, GLOROT, HE = 0.57735, 1.0, 1.4142  # gains of square layers
GAINS = (STANDARD, GLOROT, HE, 2.0)


def _deepest(outcomes, **knobs) -> Outcome:
  """The setting of the deepest networks, of 30 layers or more."""
  depth = max(each.config.depth for each in outcomes)
  if depth < 30:
    raise claims.Untested(f'the deepest networks have {depth} layers')
  return claims.one(outcomes, depth=depth, **knobs)


def _chance(outcome: Outcome) -> float:
  """The loss of an even guess, in nats."""
  return float(np.log(datasets.resolve(outcome.config.dataset).num_classes))


@claims.claim('map, rectifiers', 'He et al., 2015, section 2.2 and figure 3')
def rectifiers(outcomes):
  """Deep ReLU networks keep the signal and learn with He's gain, not Glorot's.

  Holds if of the deepest networks with relu the factor of the signal by layer
  is nearer to 1 than to 1/sqrt(2) with lecun_normal at a gain of 1.4142, and
  nearer to 1/sqrt(2) at a gain of 1, and the loss is lower with the former.

  Untested if the deepest have fewer than 30 layers.
  """
  he, glorot = (
    _deepest(outcomes, activation='relu', init='lecun_normal', gain=gain)
    for gain in (HE, GLOROT)
  )
  middle = (1 + 0.5**0.5) / 2
  kept, lost = (
    claims.mean(
      ranks.log(each.measured['signal_kept']) / (each.config.depth - 1)
    )
    for each in (he, glorot)
  )
  ratio = claims.ratio(he.measured['mean_loss'], glorot.measured['mean_loss'])
  holds = kept.low > np.log(middle) > lost.high and ratio.high < 1
  told = f"ln of the factor by layer {kept} with He's gain, {lost} with 1"
  return claims.finding(holds, f'{told}; loss, ratio {ratio}')


@claims.claim('map, tanh', 'Saxe et al., 2014; Schoenholz et al., 2017')
def isometry(outcomes):
  """Deep tanh networks learn from orthogonal weights, not from the standard.

  Holds if of the deepest networks with tanh the interval of the loss lies below
  0.9 of that of an even guess with orthogonal at a gain of 1, and above it with
  lecun_uniform at a gain of 0.57735.

  Untested if the deepest have fewer than 30 layers.
  """
  critical = _deepest(
    outcomes, activation='tanh', init='orthogonal', gain=GLOROT
  )
  standard = _deepest(
    outcomes, activation='tanh', init='lecun_uniform', gain=STANDARD
  )
  learned, stuck = (
    claims.mean(each.measured['mean_loss']) for each in (critical, standard)
  )
  limit = 0.9 * _chance(critical)
  told = f'orthogonal {learned}, standard {stuck}, limit {limit:.3g} nats'
  return claims.finding(learned.high < limit < stuck.low, told)


@claims.claim('map, selu', 'Klambauer et al., 2017, theorem 1')
def self_normalizing(outcomes):
  """SELU networks keep the variance of the signal at any depth.

  Holds if of the deepest networks with selu and lecun_normal at a gain of 1 the
  interval of the signal kept lies between sqrt(0.8/1.5) and sqrt(1.5/0.8), 0.8
  and 1.5 being the bounds of the theorem on the variance.

  Untested if the deepest have fewer than 30 layers.
  """
  found = _deepest(
    outcomes, activation='selu', init='lecun_normal', gain=GLOROT
  )
  ratio = claims.ratio(found.measured['signal_kept'], np.ones(len(found.seeds)))
  span = (1.5 / 0.8) ** 0.5
  return claims.finding(ratio.within(1 / span, span), f'signal kept {ratio}')


MAP = (rectifiers, isometry, self_normalizing)
