"""What Dong et al. and Noci et al. say of tokens that become alike."""

import numpy as np

from initlab import claims

_CLOSE = 0.05  # of a cosine
_VANISHED = 0.01  # of what a gradient is without collapse


@claims.claim('atlas 10, rank collapse', 'Dong et al., 2021, section 2')
def collapse(outcomes):
  """Without skips tokens become alike doubly exponentially.

  Holds if the intervals of log(1 - cosine) after blocks 2 and 3, each over that
  of the block before, lie above 2: the paper's rate is cubic, which makes it 3,
  but for constants.

  Untested if no run without skips has three blocks.
  """
  found = claims.every(outcomes, skips='none')
  deep = [each for each in found if each.config.blocks >= 3]
  if not deep:
    raise claims.Untested('no run of three blocks without skips')
  logs = np.log(deep[0].measured['distance'][:, :3])
  rates = claims.mean(logs[:, 1:] / logs[:, :-1])
  told = ', '.join(f'{rate:.3g}' for rate in rates.value)
  ends = 'log(1 - cosine) multiplied by'
  return claims.finding(
    bool(np.all(rates.low > 2)),
    f'{ends} {told}, at least {np.min(rates.low):.3g}',
  )


@claims.claim('atlas 10, cosines', 'Noci et al., 2022, figure 1')
def cosines(outcomes):
  """With skips tokens align as depth grows; scaled by 1 / sqrt(L) they do not.

  Holds if the interval of the last cosine of the deepest networks less that of
  the shallowest lies above 0 with plain; and with scaled those of all depths
  hold values within 0.05 of theory's, half of each being no wider than that.

  Untested if the depths of one of the two do not span a factor of 4.
  """
  found = {}
  for name in ('plain', 'scaled'):
    settings = claims.every(outcomes, skips=name)
    settings.sort(key=lambda each: each.config.blocks)
    if settings[-1].config.blocks < 4 * settings[0].config.blocks:
      raise claims.Untested(f'no range of depths with {name}')
    found[name] = settings
  shallow, *_, deep = (each.measured['last_cosine'] for each in found['plain'])
  grows = claims.mean(deep - shallow)
  scaled = found['scaled']
  level = claims.mean(
    np.stack([each.measured['last_cosine'] for each in scaled], axis=1),
    len(scaled),
  )
  expected = np.array([each.predicted['last_cosine'] for each in scaled])
  flat = claims.agrees(level, expected, within=_CLOSE, slack=_CLOSE)
  told = ', '.join(f'{value:.3f}' for value in level.value)
  theory = ', '.join(f'{value:.3f}' for value in expected)
  return claims.finding(
    claims.together([bool(grows.low > 0), flat]),
    f'plain: grows by {grows}; scaled: {told}, theory {theory}',
  )


@claims.claim('atlas 10, queries', 'Noci et al., 2022, abstract and section 3')
def queries(outcomes):
  """Where rank collapses, gradients of queries vanish beside those of values.

  Holds if in the deepest networks the interval of the ratio of
  |dC/dW_Q| / |dC/dW_V| of the last block, none over scaled, lies below 0.01.

  Untested if the run has not both.
  """
  none, scaled = (
    max(
      claims.every(outcomes, skips=name), key=lambda each: each.config.blocks
    ).measured['last_query_share']
    for name in ('none', 'scaled')
  )
  ratio = claims.ratio(none, scaled)
  return claims.finding(ratio.high < _VANISHED, f'none over scaled: {ratio}')


CLAIMS = (collapse, cosines, queries)
