"""What papers say of the stream of deep transformers, and of its Jacobian."""

from initlab import claims

_POWER = (0.7, 1.3)  # of a bend: 1 of a power law
_STRETCHED = (1.3, 3.0)  # 2 of exp(sqrt(l)), and 4 of an exponential
_LINEAR, _BOUNDED = 3.0, 2.0  # of a growth: 4 of a line, 1 of a logarithm


@claims.claim('atlas 12, stream', 'Sun et al., 2025, section 4')
def stream(outcomes):
  """The variance grows with the depth at least linearly, scaled it does not.

  Holds if the interval of the increase of the variance over the last three
  quarters of the blocks, over that in as large a factor of depth before, lies
  above 3 with layer (4 of a line) and below 2 with scaled (1 of a logarithm);
  and the last variance of scaled over layer lies below 1.

  Untested if the run has not both.
  """
  plain, scaled = (
    claims.one(outcomes, norm=norm) for norm in ('layer', 'scaled')
  )
  first, second = (
    claims.mean(each.measured['growth']) for each in (plain, scaled)
  )
  ratio = claims.ratio(
    scaled.measured['last_variance'], plain.measured['last_variance']
  )
  holds = first.low > _LINEAR and second.high < _BOUNDED and ratio.high < 1
  return claims.finding(
    holds,
    f'growth: layer {first}, scaled {second}; last variance, scaled over '
    f'layer {ratio}',
  )


@claims.claim('atlas 12, Jacobian', 'Alekseev, 2026, abstract')
def jacobian(outcomes):
  """The Jacobian grows as a power of the depth, with tanh faster than any.

  Holds if the interval of the bend, log J of a factor 4 of depth over that of
  the factor 4 before, lies between 0.7 and 1.3 with layer (1 of a power law)
  and between 1.3 and 3 with tanh (2 of exp(sqrt(l)), 4 of an exponential).

  Untested if the run has not both.
  """
  bends = {
    norm: claims.mean(claims.one(outcomes, norm=norm).measured['bend'])
    for norm in ('layer', 'tanh')
  }
  inside = [
    bends[norm].low > low and bends[norm].high < high
    for norm, (low, high) in (('layer', _POWER), ('tanh', _STRETCHED))
  ]
  told = ', '.join(f'{norm} {bend}' for norm, bend in bends.items())
  return claims.finding(all(inside), f'bend: {told}')


CLAIMS = (stream, jacobian)
