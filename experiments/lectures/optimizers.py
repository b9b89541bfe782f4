"""Then use gradient descent, or one of the advanced methods.

Question:
  From the same random weights, how far do gradient descent, L-BFGS and
  conjugate gradients come with the same number of evaluations, and where do
  they end?
Paper:
  Andrew Ng, putting it together: use gradient descent or an advanced
  optimization method with backpropagation to minimise J.
Run:
  python -m experiments.lectures.optimizers --method=gd,cg,lbfgs --seeds=0:20
Takes:
  Under 60 seconds on two CPU cores (3 methods, 20 seeds, up to 2000
  evaluations of the cost and its gradient each).
Expect:
  L-BFGS and conjugate gradients, SciPy's, are ahead of gradient descent from
  the first record on, and come to a gradient below 1e-5, where gradient descent
  is still on its way after 2000 evaluations. They end in different minima of J,
  which is not convex, of about the same cost.
"""

from collections.abc import Callable, Sequence
import contextlib
import dataclasses
import functools
from typing import Annotated, Any, NamedTuple

import jax
from jax import flatten_util
import jax.numpy as jnp
import numpy as np

from initlab import (
  activations,
  base,
  claims,
  datasets,
  keys,
  launch,
  losses,
  minibatches,
  networks,
  optimizers,
  stats,
  training,
)
from initlab.experiment import (
  GEOMETRIC,
  Claim,
  Finding,
  Outcome,
  Panel,
  PerNetwork,
  PerStep,
  knob,
  of_module,
)

# The largest entry of a gradient that counts as zero, SciPy's own default.
_ZERO = 1e-5
_EVERY = 10  # evaluations from one record to the next


@dataclasses.dataclass(frozen=True)
class Config(networks.Network):
  """A network, the cost that is minimised, and how."""

  method: str = knob(
    'lbfgs',
    'gradient descent, conjugate gradients (Polak and Ribiere) or L-BFGS',
    ('gd', 'cg', 'lbfgs'),
  )
  widths: tuple[int, ...] = knob((10,), 'the hidden widths: 10, or 25-10')
  dataset: str = knob(
    'digits', 'where inputs and labels come from', datasets.DATASETS
  )
  examples: int = knob(100, 'how many the cost is a mean over')
  decay: float = knob(
    0.02, 'added to the cost: half of it times the sum of squared weights'
  )
  evaluations: int = knob(2000, 'of cost and gradient, at most')
  learning_rate: float = knob(
    0.5, 'of gradient descent; the best of 0.1, 0.2, 0.3, 0.5 and 1'
  )

  def __post_init__(self):
    super().__post_init__()
    for name in ('examples', 'evaluations'):
      if not 1 <= getattr(self, name) <= 10**6:
        value = getattr(self, name)
        raise base.UserError(f'--{name}={value}: from 1 to 1000000')


SMOKE = Config(widths=(3,), dataset='xor', examples=4, evaluations=25)


class Result(NamedTuple):
  """What is recorded.

  cost: the lowest so far, after so many evaluations.
  gradient: its largest entry, the smallest so far.
  final_cost: the lowest of all.
  needed: evaluations up to the first gradient below 1e-5; NaN if there is none.
  """

  cost: PerStep
  gradient: Annotated[PerStep, GEOMETRIC]
  final_cost: PerNetwork
  needed: PerNetwork


class Program(NamedTuple):
  """What is compiled once a setting.

  start: `key -> [P]` the random weights, as one vector.
  evaluate: `([P], batch) -> ([], [P])` cost and gradient.
  descend: `([P], batch) -> ([E], [E])` costs and largest entries of gradients
    on the way of gradient descent.
  """

  start: Callable[[base.Key], base.Array]
  evaluate: Callable[..., tuple[base.Array, base.Array]]
  descend: Callable[..., tuple[base.Array, base.Array]]


def load(config: Config, data_dir: str) -> base.Batch:
  """The first examples of the training split."""
  dataset = datasets.DATASETS[config.dataset]
  return dataset.split('train', config.examples, data_dir)


def steps(config: Config) -> tuple[int, ...]:
  """The numbers of evaluations after which the cost is recorded."""
  return (1, *training.recorded_steps(config.evaluations, _EVERY)[1:])


@functools.lru_cache(maxsize=8)
def _program(config: Config) -> Program:
  def draw(key: base.Key) -> tuple[base.Array, Callable[[base.Array], Any]]:
    params = networks.draw(config, key, config.knobs(), config.bias)
    doubles = jax.tree.map(lambda leaf: leaf.astype(float), params)
    return flatten_util.ravel_pytree(doubles)

  _, restore = draw(keys.root(0))
  activation = activations.resolve(config.activation)
  loss = losses.LOSSES[config.loss].per_example

  def cost(flat: base.Array, batch: base.Batch) -> base.Array:
    params = restore(flat)
    squares = sum(jnp.sum(layer.w**2) for layer in params)
    fit = training.objective(activation, loss)(params, batch)
    return fit + config.decay / 2 * squares

  rate = np.asarray(config.learning_rate)
  optimizer = optimizers.optimizer('sgd', 'constant', rate, config.evaluations)

  def descend(
    flat: base.Array, batch: base.Batch
  ) -> tuple[base.Array, base.Array]:
    examples = minibatches.whole(batch)

    def step(state: training.State, index: base.Array) -> tuple:
      moved = training.advance(
        cost, optimizer, examples, state, index, index + 1, every=1
      )
      slope = jnp.max(jnp.abs(moved.params - state.params)) / rate
      return moved, (moved.last_cost, slope)

    state = training.start(flat, optimizer)
    indices = jnp.arange(config.evaluations, dtype=jnp.int32)
    return jax.lax.scan(step, state, indices)[1]

  return Program(
    jax.jit(lambda key: draw(key)[0]),
    jax.jit(jax.value_and_grad(cost)),
    jax.jit(descend),
  )


def run(config: Config, key: base.Key, data: base.Batch) -> Result:
  """Minimises the cost from one random start."""
  program = _program(dataclasses.replace(config, method='gd'))  # of any
  batch = data._replace(x=data.x.astype(float))
  flat = program.start(key)
  if config.method == 'gd':
    found = program.descend(flat, batch)
  else:
    evaluate = functools.partial(program.evaluate, batch=batch)
    found = _minimize(config, evaluate, np.array(flat))
  cost, gradient = np.minimum.accumulate(found, axis=1)
  flat_from = np.flatnonzero(gradient < _ZERO)
  needed = flat_from[0] + 1.0 if flat_from.size else np.nan
  at = np.minimum(steps(config), len(cost)) - 1  # it may have ended before
  return Result(*map(jnp.asarray, (cost[at], gradient[at], cost[-1], needed)))


class _Spent(Exception):
  """There are no evaluations left."""


def _minimize(
  config: Config, evaluate: Callable[..., Any], start: np.ndarray
) -> np.ndarray:
  """SciPy's minimum: cost and largest entry of the gradient, `[2, n]`."""
  from scipy import optimize

  found = []

  def recorded(x: np.ndarray) -> tuple[float, np.ndarray]:
    if len(found) == config.evaluations:
      raise _Spent
    cost, gradient = (np.asarray(part) for part in evaluate(x))
    found.append((cost, np.abs(gradient).max()))
    return float(cost), gradient

  many = 10 * config.evaluations
  method, options = {
    'cg': ('CG', {}),
    'lbfgs': ('L-BFGS-B', {'ftol': 0.0, 'maxfun': many}),
  }[config.method]
  options |= {'gtol': _ZERO / 2, 'maxiter': many}
  with contextlib.suppress(_Spent):
    optimize.minimize(recorded, start, jac=True, method=method, options=options)
  return np.array(found).T


def verdict(outcome: Outcome) -> list[str]:
  """Where it ends, and how soon."""
  measured = outcome.measured
  needed = measured['needed']
  flat = np.isfinite(needed)
  share = stats.share(int(flat.sum()), len(flat))
  return [
    f'ends at a cost of {claims.told(stats.mean(measured["final_cost"]))}',
    f'{claims.told(share, "%")} of seeds come to a gradient below {_ZERO:g}, '
    f'after {claims.told(stats.mean(needed))} evaluations',
  ]


# Claims.


def _ahead(outcomes: Sequence[Outcome]) -> Finding:
  """The lowest cost after equal evaluations, less gradient descent's, by seed.

  The first evaluation is of the common start; every later record counts.

  Holds if the interval of the mean difference over starts lies below 0 at every
  record, for both methods. Since all must, each has its own 99%: the claim is
  upheld wrongly with a probability of 1% at most (intersection-union).

  Untested if one of the three methods is not in the run, or none is recorded
  after the start.
  """
  slow = claims.one(outcomes, method='gd')
  if len(slow.steps) < 2:
    raise claims.Untested('nothing is recorded after the start')
  holds, told = [], []
  for name in ('lbfgs', 'cg'):
    fast = claims.one(outcomes, method=name)
    gap = claims.mean((fast.measured['cost'] - slow.measured['cost'])[:, 1:])
    end = claims.mean(slow.measured['final_cost'] - fast.measured['final_cost'])
    holds.append((gap.high < 0).all())
    told.append(
      f'{name} by {-gap.high.max():.2g} or more at each of {gap.high.size} '
      f'records, at the end by {claims.told(end)}'
    )
  text = f'below gradient descent: {"; ".join(told)}'
  return claims.finding(all(holds), text)


def _flat(outcomes: Sequence[Outcome]) -> Finding:
  """The starts from which a gradient counts as zero.

  Holds if both methods come to a gradient whose largest entry is below 1e-5
  from every start, within the evaluations of the run: 1e-5 is what SciPy calls
  zero by default.

  Untested if one of the two methods is not in the run.
  """
  holds, told = [], []
  for name in ('lbfgs', 'cg'):
    needed = claims.one(outcomes, method=name).measured['needed']
    flat = int(np.isfinite(needed).sum())
    holds.append(flat == len(needed))
    told.append(
      f'{name} {flat} of {len(needed)} seeds, after '
      f'{claims.told(stats.mean(needed))} evaluations'
    )
  return claims.finding(all(holds), '; '.join(told))


def _minima(outcomes: Sequence[Outcome]) -> Finding:
  """The costs that L-BFGS ends at, from all starts that it flattens.

  Were J convex, the costs at two ends a and b with gradients g of P entries
  below 1e-5 would differ by |g| |a - b| at most. The decay bounds weights by
  |w|^2 <= 2 J / decay, and so |a - b| by twice that, the few biases aside:
  costs would differ by 1e-5 sqrt(P) 2 sqrt(2 J / decay) at most.

  Holds if the highest and the lowest cost differ by more.

  Untested if L-BFGS is not in the run, comes to a gradient below 1e-5 from less
  than two starts, or runs without decay, which leaves weights unbounded.
  """
  one = claims.one(outcomes, method='lbfgs')
  ends = one.measured['final_cost'][np.isfinite(one.measured['needed'])]
  if len(ends) < 2 or one.config.decay <= 0:
    raise claims.Untested('two flat ends, and decay, are wanted')
  low, high = float(ends.min()), float(ends.max())
  apart = 2 * np.sqrt(2 * high / one.config.decay)
  bound = _ZERO * np.sqrt(networks.parameters(one.config)) * apart
  return claims.finding(
    high - low > bound,
    f'{len(ends)} starts end from {low:.4f} to {high:.4f}, {high - low:.2g} '
    f'apart; if J were convex, by {bound:.2g} at most',
  )


_SOURCE = 'Andrew Ng, Putting it together'

CLAIMS = (
  Claim(
    'lecture 13, ahead',
    'With equal evaluations L-BFGS and conjugate gradients are below gradient '
    'descent.',
    _SOURCE,
    _ahead,
  ),
  Claim(
    'lecture 13, flat',
    f'They come to a gradient below {_ZERO:g} from every start.',
    _SOURCE,
    _flat,
  ),
  Claim(
    'lecture 13, minima',
    'J is not convex: other random starts end at other costs.',
    _SOURCE,
    _minima,
  ),
)

PANELS = (
  Panel(
    'cost',
    'Cost so far, above the lowest of all runs',
    'J - lowest J',
    'curve',
    True,
    over='evaluation',
    excess=True,
  ),
  Panel(
    'gradient',
    'Gradient, the smallest so far',
    'largest entry',
    'curve',
    True,
    over='evaluation',
  ),
  Panel('final_cost', 'Where it ends', 'J', 'seeds'),
)

EXPERIMENT = of_module(
  __name__,
  parameters=networks.parameters,
  compared=('final_cost',),
  defaults={'method': 'gd,cg,lbfgs', 'seeds': '0:20'},
  dtype='float64',
  compiled=False,
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
