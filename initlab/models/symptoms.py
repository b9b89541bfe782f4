"""What a model's signals show to be wrong, whatever the laws of its weights.

Units that are dead or saturated, weights that see zeros, gradients or a stream
that change by orders of magnitude with depth, examples that cannot be told
apart, a loss far above an even guess: each with a limit that has a reason.
"""

from collections.abc import Callable, Iterable
import functools
import math

import jax.numpy as jnp
import numpy as np

from initlab import activations, stats
from initlab.models import finding, judgeable, own_law, places
from initlab.models.audit import Audit
from initlab.models.finding import Finding

# A limit is exceeded if an interval of this confidence is beyond it: a model
# has hundreds of places, and none of them may alarm by chance.
_CONFIDENCE = 0.9999

# A unit of weights that are symmetric about zero is off for an example with
# probability 1/2, so that no more than half of the units are off for all of the
# batch, however alike its examples are.
_MOST_DEAD = 0.5

# More than half of the slopes of what is flat at both ends, as tanh. ReLU and
# its kin are flat for half of symmetric inputs by design; of the other half,
# more than half.
_MOST_SATURATED = {2: 0.5, 1: 0.75}

# Logarithm of a change of a second moment over the whole depth. Networks train
# to about 6 depth scales of their signals (Schoenholz et al. 2017, section 5),
# of each of which such a moment changes by e; the same is asked of gradients.
_MOST_CHANGE = 6.0

# bfloat16 has 8 bits: tokens whose cosine is above this differ by less than its
# rounding.
_MOST_ALIKE = 1 - 2**-8

# An even guess is exceeded by at most half of the logits' variance, by Jensen's
# inequality, and the largest gain that recipes give to a readout of unit inputs
# makes that variance (5/3)^2. A loss that sums up predictions exceeds it with
# smaller logits, too.
_MOST_EXCESS = own_law.LARGEST_GAIN / 2


def symptoms(audit: Audit) -> tuple[Finding, ...]:
  """What the signals of an audited model show to be wrong.

  Where numbers are not finite, nothing else is judged. What there are too few
  seeds for is `judgeable.unjudged`.
  """
  return judgeable.nonfinite(audit) or tuple(
    each for judge in _JUDGES for each in judge(audit)
  )


def _starved(audit: Audit) -> Iterable[Finding]:
  """Weights whose input is zero for all of the batch, whatever the seed."""
  zero = [
    leaf.name
    for leaf in audit.measured_leaves
    if leaf.role in ('scale', 'weight') and not leaf.measured['square'].any()
  ]
  blamed: dict[str, list[str]] = {}
  for site in audit.sites:
    seen = site.measured.get('input_square')
    if site.kind != 'product' and seen is not None and not seen.any():
      leaf = max(zero, key=lambda name: _shared(name, site.name), default='')
      blamed.setdefault(leaf, []).append(site.name)
  for leaf, sites in blamed.items():
    why = f'{leaf} is zero' if leaf else 'something before it is zero'
    yield Finding(
      finding.STARVED,
      leaf,
      sites[0],
      finding.certain(0.0, len(audit.seeds)),
      f'{", ".join(sites)} sees zeros only, so it has no gradient: {why}; give '
      'it the value that it is meant to start from.',
    )


def _shared(name: str, other: str) -> int:
  """How many characters two names begin with alike."""
  pairs = zip(name, other, strict=False)
  return next(
    (i for i, (a, b) in enumerate(pairs) if a != b), min(len(name), len(other))
  )


def _symmetric(audit: Audit) -> Iterable[Finding]:
  """Kernels of equal entries, whose units are one; labels part a readout's."""
  roles = own_law.roles(audit.sites)
  constant = {
    leaf.name: leaf.measured['mean']
    for leaf in audit.measured_leaves
    if leaf.family == 'constant' and leaf.measured['square'].any()
  }
  for site in audit.sites:
    hidden = roles.get(site.name, 'readout') not in ('readout', 'embedding')
    if not hidden or site.n_out < 2 or len(site.leaves) != 1:
      continue
    (leaf,) = site.leaves
    if leaf in constant:
      value = stats.mean(constant.pop(leaf))
      yield Finding(
        finding.SYMMETRIC,
        leaf,
        site.name,
        value,
        f'all entries of {leaf} are {float(value.value):.3g}, so all of its '
        'units do the same: draw them at random.',
      )


def _repeated(audit: Audit) -> Iterable[Finding]:
  """Leaves that one key draws, told of all that repeat the same together."""
  blamed: dict[str, list[places.Leaf]] = {}
  for leaf in audit.leaves:
    if leaf.repeats:
      blamed.setdefault(leaf.repeats.leaf, []).append(leaf)
  for original, found in blamed.items():
    first, names = found[0], ', '.join(leaf.name for leaf in found)
    assert first.repeats
    verb = 'has' if len(found) == 1 else 'have'
    what = f'{names} {verb} the entries of {original}, up to a factor'
    if first.name == original:
      what = f'the layers of {names} have the same entries, up to a factor'
    yield Finding(
      finding.REPEATED,
      first.name,
      '',
      stats.mean(first.repeats.correlation),
      f'{what}: one key draws them all; split it, or fold a number into it.',
    )


def _dead(audit: Audit) -> Iterable[Finding]:
  for activation in _functions(audit):
    shares = _worst(activation.measured['dead'])
    if _above(shares, _MOST_DEAD):
      share = stats.mean(shares)
      yield Finding(
        finding.DEAD,
        _leaf_of(audit, activation.site),
        activation.site,
        share,
        f'{float(share.value):.0%} of the units after {activation.site} are '
        f'dead: {activation.function} is flat there on all of the batch; check '
        'the mean of its weights and its bias.',
      )


def _saturated(audit: Audit) -> Iterable[Finding]:
  """Known functions of bounded slope that are flat on most of their inputs."""
  for activation in _functions(audit):
    ends = _flat_ends(activation.function)
    if ends is None or _above(_worst(activation.measured['dead']), _MOST_DEAD):
      continue
    shares = _worst(activation.measured['saturated'])
    if _above(shares, _MOST_SATURATED[ends]):
      share = stats.mean(shares)
      rms = float(np.mean(activation.measured['input_square'])) ** 0.5
      yield Finding(
        finding.SATURATED,
        _leaf_of(audit, activation.site),
        activation.site,
        share,
        f'{activation.function} after {activation.site} is saturated for '
        f'{float(share.value):.0%} of its inputs, whose root mean square is '
        f'{rms:.3g}: draw smaller weights, or normalize its input.',
      )


def _functions(audit: Audit) -> list[places.Activation]:
  """Activations that are functions of their input alone.

  One that also depends on params, as ReZero's alpha relu(t), may be flat since
  its params are zero. One in a branch of a `cond` that no seed takes is left
  out, too.
  """
  return [
    each
    for each in audit.activations
    if 'saturated' in each.measured
    and np.isfinite(each.measured['saturated']).any()
  ]


@functools.cache
def _flat_ends(function: str) -> int | None:
  """2 for tanh and its kin, 1 for ReLU's; None for the others.

  A share of the steepest slope means nothing for a function that grows ever
  steeper, as a square, and is not known for one that goes by no name.
  """
  known = activations.ACTIVATIONS.get(function)
  if known is None:
    return None
  x = jnp.linspace(-50.0, 50.0, 2001)
  slope = np.abs(activations.derivative(known)(x))
  if slope.max() > (1 + 1e-3) * slope[np.abs(x) <= 8].max():
    return None
  ends = slope[[0, -1]] < activations.SATURATED_SLOPE * slope.max()
  return int(ends.sum()) or None


def _worst(
  measured: np.ndarray, size: Callable[[np.ndarray], np.ndarray] = np.positive
) -> np.ndarray:
  """`[S]`, of the iteration whose mean is of largest size.

  One of too few seeds for an interval is chosen only where all are.
  """
  flat = places.by_iteration(measured)
  means = np.ma.masked_invalid(flat).mean(axis=0)
  sizes = np.ma.filled(size(means), -np.inf)
  sizes[judgeable.finite_seeds(flat) < stats.FEWEST] = -np.inf
  return flat[:, int(np.argmax(sizes))]


def _above(values: np.ndarray, limit: float) -> bool:
  """Whether the mean over seeds is surely above a limit."""
  return float(stats.mean(values, _CONFIDENCE).low) > limit


def _leaf_of(audit: Audit, site: str) -> str:
  for each in audit.sites:
    if each.name == site and len(each.leaves) == 1:
      return each.leaves[0]
  return ''


def _spike(audit: Audit) -> Iterable[Finding]:
  """Leaves of which one entry is more than half: a matrix of rank one."""
  for leaf in audit.measured_leaves:
    size = math.prod(leaf.shape)
    square = leaf.measured['square']
    if leaf.role != 'weight' or size < 16 or not square.any():
      continue
    shares = leaf.measured['largest'] ** 2 / (size * square)
    if _above(shares, 0.5):
      share = stats.mean(shares)
      yield Finding(
        finding.SPIKE,
        leaf.name,
        '',
        share,
        f'one entry of {leaf.name} has {float(share.value):.0%} of its sum of '
        'squares: check the tails of what draws it.',
      )


def _mean(audit: Audit) -> Iterable[Finding]:
  """Weights whose mean alone does more than a recommended gain would."""
  biased = {
    leaf.name for leaf in audit.measured_leaves if leaf.measured['square'].any()
  }
  for site in audit.sites:
    if len(site.leaves) != 1 or site.bias in biased or site.kind == 'lookup':
      continue
    mean = places.by_iteration(site.measured['forward_mean'])
    square = places.by_iteration(site.measured['input_square'])
    if not square.all():
      continue
    ratio = mean / np.sqrt(square)
    means = _worst(ratio, np.abs)
    limit = own_law.LARGEST_GAIN**0.5
    if _above(means, limit) or _above(-means, limit):
      each = stats.mean(means)
      yield Finding(
        finding.MEAN,
        site.leaves[0],
        site.name,
        each,
        f'the mean of {site.leaves[0]} alone gives outputs of '
        f'{float(each.value):.3g} times its input: draw it symmetric about '
        'zero.',
      )


def _depth(audit: Audit) -> Iterable[Finding]:
  """Gradients that vanish or explode, of models without residual adds."""
  if audit.residuals:
    return
  roles = own_law.roles(audit.sites)
  hidden = [
    site
    for site in audit.sites
    if roles.get(site.name) in ('input', 'hidden')
    and _gradient(site).all()
    and judgeable.finite_seeds(_gradient(site)) >= stats.FEWEST
  ]
  if len(hidden) < 2:
    return
  first, last = hidden[0], hidden[-1]
  change = _gradient(first) / _gradient(last)
  up = _above(np.log(change), _MOST_CHANGE)
  if not up and not _above(-np.log(change), _MOST_CHANGE):
    return
  between = [site for site in hidden if site is not first] or hidden
  gains = [
    float(np.nanmean(site.measured['weight_square'])) for site in between
  ]
  worst = between[int(np.argmax(gains) if up else np.argmin(gains))]
  ratio = stats.geometric_mean(np.sqrt(change))
  verb = 'explodes' if up else 'vanishes'
  yield Finding(
    finding.EXPLODING if up else finding.VANISHING,
    worst.leaves[0] if len(worst.leaves) == 1 else '',
    worst.name,
    ratio,
    f'the gradient {verb}: at {first.name} it is '
    f'{float(ratio.value):.3g} times that at {last.name}; n_in Var w of '
    f'{worst.name} is '
    f'{max(gains) if up else min(gains):.3g}: draw it by its fan-in, with the '
    'gain of its activation.',
  )


def _gradient(site: places.Site) -> np.ndarray:
  """`[S]` the squared norm of dC/ds, mean over iterations."""
  square = places.by_iteration(site.measured['backward_square'])
  mean = np.mean(square, axis=1)
  return mean * math.prod(site.output)


def _stream(audit: Audit) -> Iterable[Finding]:
  """A residual stream that grows by a factor a layer, not by a term."""
  sums = [
    (place, places.by_iteration(place.measured['sum_square']))
    for place in audit.residuals
    if place.shape == audit.residuals[-1].shape
  ]
  if not sums:
    return
  (first, before), (last, after) = sums[0], sums[-1]
  before, after = before[:, 0], after[:, -1]
  if not (before.all() and after.all()):
    return
  if _above(np.log(after / before), _MOST_CHANGE):
    ratio = stats.geometric_mean(np.sqrt(after / before))
    yield Finding(
      finding.BRANCH,
      _leaf_of(audit, last.sites[-1]) if last.sites else '',
      last.name,
      ratio,
      f'the stream grows {float(ratio.value):.3g} times from {first.name} to '
      f'{last.name}, each branch being as large as the stream: divide the '
      'outputs of branches by the root of their number, or normalize.',
    )


def _collapse(audit: Audit) -> Iterable[Finding]:
  """Tokens that can be told apart after the first add, but not after the last.

  A model without residual adds, or of one token, is not judged.
  """
  adds = [add for add in audit.residuals if 'token_cosine' in add.measured]
  if not adds:
    return
  first, last = (
    places.by_iteration(add.measured['token_cosine'])
    for add in (adds[0], adds[-1])
  )
  first, last = first[:, 0], last[:, -1]
  if _above(last, _MOST_ALIKE) and not _above(first, _MOST_ALIKE):
    cosine, before = stats.mean(last), stats.mean(first)
    yield Finding(
      finding.COLLAPSE,
      '',
      adds[-1].name,
      cosine,
      f'the tokens of an example are all the same after {adds[-1].name}: their '
      f'cosine is {float(cosine.value):.5f}, and {float(before.value):.2f} '
      f'after {adds[0].name}; attention averages over too many of them.',
    )


def _overconfident(audit: Audit) -> Iterable[Finding]:
  if not audit.scalar:
    return
  excess = audit.measured['loss'] - audit.measured['even_loss']
  if not _above(excess, _MOST_EXCESS):
    return
  roles = own_law.roles(audit.sites)
  squares = {
    site.name: places.by_iteration(site.measured['forward_square'])[:, -1]
    for site in audit.sites
    if roles.get(site.name) == 'readout'
  }
  large = [
    n for n, each in squares.items() if _above(each, own_law.LARGEST_GAIN)
  ]
  if not large:
    return
  site, above = large[-1], stats.mean(excess)
  square = float(np.nanmean(squares[site]))
  yield Finding(
    finding.OVERCONFIDENT,
    _leaf_of(audit, site),
    site,
    above,
    f'the loss is {float(above.value):.3g} nats above that of an even guess: '
    f'the outputs of {site} have a mean square of {square:.3g}, which is too '
    'large; draw the readout smaller, or zero.',
  )


_JUDGES: tuple[Callable[[Audit], Iterable[Finding]], ...] = (
  _starved,
  _symmetric,
  _repeated,
  _dead,
  _saturated,
  _spike,
  _mean,
  _depth,
  _stream,
  _collapse,
  _overconfident,
)
