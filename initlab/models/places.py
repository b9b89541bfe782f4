"""What an audit knows of a model: its places, and what was measured there.

A *place* is a point of the model's program: a site, where a weight meets data;
an activation; a residual add; a leaf of the params. Each has the facts that the
program alone tells, and `measured`, which maps the name of a measure to its
values `[S, *iterations]`: one for each seed and, in a loop, each iteration.
`MEASURES` says what the measures are. Second moments are means of squares over
the whole array: batch, positions and units together.
"""

from collections.abc import Mapping
import types
from typing import NamedTuple

import numpy as np

from initlab import kernels

Measured = Mapping[str, np.ndarray]


def by_iteration(measured: np.ndarray) -> np.ndarray:
  """`[S, I]` of `[S, *iterations]`, those of nested loops in one row."""
  return measured.reshape(len(measured), -1)


class Site(NamedTuple):
  """Where a weight meets data, or data meets data.

  name: the path of its leaf, as 'layers/0/kernel'; of two, joined by '+'; of
    more, 'first...last'; a second use of the same leaves adds ' (use 2)';
    'product 1' of a product.
  kind: 'matmul', 'convolution', 'lookup' (of an embedding) or 'product', whose
    operands both depend on the batch, as in attention.
  leaves: paths of the leaves that its weight is computed from; none of a
    product.
  shape: of the weight as it enters the operation.
  n_in: how many weights are summed for one output: of a lookup 1.
  n_out: how many outputs one input enters, as `kernels.fans` counts them.
  axes: which axes of its leaf are what, to be handed to any initializer. None
    where the weight is not the entries of one leaf, each once.
  part: the slice of the leaf that it uses; empty if all of it.
  iterations: lengths of the loops that it is in, from the outermost.
  stacked: whether each iteration has a weight of its own (layers), rather than
    all of them the same (time).
  output: shape of its output.
  bias: path of the leaf that is added to its output; '' for none.
  activations: names of the functions that its output enters.
  logits: whether a softmax reads its output, perhaps with a bias, scaled,
    masked or cut.
  residual: name of the residual add whose branch it is the last site of; ''.
  reads: a number; sites of the same number read the same array, up to layout.
  after: names of the sites from which its input comes.
  uses: how many sites use the same leaves: 2 where embeddings are tied.
  where: name stack of the operation in the program, may be ''.
  measured: see `MEASURES`.
  """

  name: str
  kind: str
  leaves: tuple[str, ...]
  shape: tuple[int, ...]
  n_in: int
  n_out: int
  axes: kernels.Axes | None
  part: tuple[slice, ...]
  iterations: tuple[int, ...]
  stacked: bool
  output: tuple[int, ...]
  bias: str
  activations: tuple[str, ...]
  logits: bool
  residual: str
  reads: int
  after: tuple[str, ...]
  uses: int
  where: str
  measured: Measured = types.MappingProxyType({})


class Activation(NamedTuple):
  """An elementwise function f of one array, t: a nonlinear one.

  name: of the site before it and the function: 'layers/0/kernel: tanh'.
  function: its name in `activations.ACTIVATIONS` if it agrees with one of
    those, else what the program calls it, else its operations joined by '+'.
  site: name of the site that t is computed from, perhaps through a
    normalization or a split; where t is a sum over sites, of the first.
  direct: whether t is that site's output with its bias, nothing more.
  gate: whether its output is multiplied by another array that has a weight.
  iterations: lengths of the loops that it is in.
  measured: see `MEASURES`.
  """

  name: str
  function: str
  site: str
  direct: bool
  gate: bool
  iterations: tuple[int, ...]
  measured: Measured = types.MappingProxyType({})


class Residual(NamedTuple):
  """An add of a branch to the stream it was computed from.

  name: 'add 1', in the order of the program.
  sites: names of the last sites in the branch.
  iterations: lengths of the loops that it is in.
  shape: of the sum.
  where: name stack, may be ''.
  measured: see `MEASURES`.
  """

  name: str
  sites: tuple[str, ...]
  iterations: tuple[int, ...]
  shape: tuple[int, ...]
  where: str
  measured: Measured = types.MappingProxyType({})


class Repeats(NamedTuple):
  """Entries that are others again, up to a factor.

  leaf: the name of the leaf whose entries they are: an earlier one; or its own,
    if its layers have the same.
  correlation: `[S]` of the first entries, its size.
  """

  leaf: str
  correlation: np.ndarray


class Leaf(NamedTuple):
  """An array of the params.

  name: its path.
  shape: of the array.
  dtype: name of its dtype.
  role: 'weight' (of a site), 'bias' (added to data), 'scale' (multiplies data
    elementwise), 'other', or 'unused' where the output does not depend on it.
  family: the distribution that its entries fit: 'uniform', 'normal',
    'truncated_normal', 'independent' (none of these), 'constant' (all entries
    of a draw are equal) or 'fixed' (all seeds draw the same).
  measured: see `MEASURES`; `[S]`, whatever loops it is used in.
  repeats: what its entries repeat; None if they are draws of their own.
  """

  name: str
  shape: tuple[int, ...]
  dtype: str
  role: str
  family: str
  measured: Measured = types.MappingProxyType({})
  repeats: Repeats | None = None


Place = Site | Activation | Residual | Leaf


class Opaque(NamedTuple):
  """An operation that the audit does not look into.

  operation: 'while', 'shard_map', 'pallas_call', 'custom_vjp_call'...
  where: name stack, may be ''.
  products: how many matrix products and convolutions are inside.
  why: what is not known of them, a sentence's end.
  """

  operation: str
  where: str
  products: int
  why: str


# Measure -> what it is, of the places that have it. Those of a model as a whole
# are `[S]`.
MEASURES: dict[str, dict[str, str]] = {
  'site': {
    'input_square': 'E x^2 of its input',
    'weight_mean': 'E w',
    'weight_variance': 'n_in Var w',
    'weight_square': 'n_in E w^2',
    'forward_mean': 'E s, s its output with its bias',
    'forward_square': 'E s^2',
    'predicted_square': 'E s^2 if the weights are independent of mean zero',
    'backward_mean': 'E dC/ds',
    'backward_square': 'E (dC/ds)^2',
    'weight_gradient': 'root mean square of dC/dw',
  },
  'activation': {
    'input_mean': 'E t of its input t',
    'input_square': 'E t^2',
    'output_mean': 'E f(t)',
    'output_square': 'E f(t)^2',
    'predicted_mean': 'E f(t) if t is normal with its mean and variance',
    'predicted_square': 'E f(t)^2 likewise',
    'slope_square': "E f'(t)^2",
    'dead': "share of units with f'(t) = 0 on all of the batch",
    'saturated': "share of |f'(t)| < 0.1 sup |f'|",
    'chi': "E f'(t)^2 E t^2 / E f(t)^2: growth of a relative squared error",
    'tenfold_depth': 'layers until an error grows tenfold; negative: shrinks',
  },
  'residual': {
    'skip_square': 'E of the square of the stream before the add',
    'branch_square': 'E of the square of the branch',
    'sum_square': 'E of the square of their sum',
    'branch_over_skip': 'root of branch_square / skip_square',
    'growth': 'root of sum_square / skip_square',
    'skip_unit_square': "mean over units of the square of a unit's mean",
    'skip_unit_variance': "mean over units of a unit's variance",
    'branch_unit_square': 'as skip_unit_square, of the branch',
    'branch_unit_variance': 'as skip_unit_variance, of the branch',
    'correlation': 'cosine of branch and stream',
    'token_cosine': 'mean cosine of two tokens of an example, of the sum',
  },
  'leaf': {
    'mean': 'E w',
    'variance': 'variance of its entries',
    'square': 'E w^2',
    'largest': 'max |w|',
    'gradient': 'root mean square of dC/dw',
  },
  'model': {
    'output_mean': 'mean of the output',
    'output_variance': 'its variance over all of its entries',
    'loss': 'the loss',
    'even_loss': 'the loss if the last site gave zeros: an even guess',
    'gradient_ratio': 'weight gradient of the first site over the last',
    'token_cosine': 'cosine of two tokens after the last residual add',
  },
}
