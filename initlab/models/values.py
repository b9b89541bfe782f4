"""The arrays that variables of a program stand for, and their moments.

What is measured of arrays of one shape is measured in one pass over them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.models import geometry, moments
from initlab.models.geometry import Windows
from initlab.models.moments import Moments
from initlab.models.plan import Plan, Site
from initlab.models.program import Constant, Operand

# Variable -> number of a convolution of which it is the data -> its windows.
OfData = Mapping[Operand, Mapping[int, Windows]]


def windows_of(plan: Plan) -> OfData:
  """Of the convolutions whose windows do not hold n_in entries each."""
  found: dict[Operand, dict[int, Windows]] = {}
  for operation, site in plan.sites.items():
    if site.kind == 'convolution':
      windows = geometry.windows(operation)
      if not windows.even:
        own = found.setdefault(operation.inputs[site.x], {})
        own[site.number] = windows
  return found


def windowed(windows: Windows, x: jax.Array) -> jax.Array:
  """An array whose mean square is the mean over windows of the sum of x^2.

  That is the mean of x^2 convolved with ones, without the convolution.
  """
  counts, number, _ = windows
  root = (x.size / number) ** (0.5 / len(counts))
  x = x.astype(jnp.float32)
  for dimension, count in counts.items():
    shape = [1] * x.ndim
    shape[dimension] = -1
    x = x * np.float32(root * np.sqrt(count)).reshape(shape)
  return x


class Values:
  """The arrays that variables stand for, and their moments, computed once."""

  def __init__(self, arrays: Mapping[int, Any], of_data: OfData):
    """Takes arrays of variables, and the windows that `windows_of` finds."""
    self.arrays = dict(arrays)
    self._of_data = of_data
    self._sizes: dict[Operand, Moments] = {}
    self._means: dict[Operand, jax.Array] = {}
    self._windows: dict[int, Moments] = {}

  def read(self, operand: Operand) -> Any:
    """The array of a variable, or a constant."""
    if isinstance(operand, Constant):
      return operand.value
    return self.arrays[operand]

  def assign(self, variables: Sequence[int], values: Sequence[Any]) -> None:
    """Gives variables their arrays."""
    self.arrays.update(zip(variables, values, strict=True))

  def still(self, operand: Operand) -> jax.Array:
    """The array, to be measured: nothing is differentiated by it."""
    return jax.lax.stop_gradient(self.read(operand))

  def moments(self, operand: Operand) -> Moments:
    """Root mean square and mean over all entries."""
    self.measure([operand], [operand])
    return self._sizes[operand]._replace(mean=self._means[operand])

  def size(self, operand: Operand) -> Moments:
    """The root mean square alone."""
    self.measure([operand])
    return self._sizes[operand]

  def windows(self, site: Site, operand: Operand) -> Moments | None:
    """Of the windows of a convolution's data; None if its size tells."""
    self.measure([operand])
    return self._windows.get(site.number)

  def measure(
    self,
    sizes: Sequence[Operand],
    means: Sequence[Operand] = (),
    pairs: Sequence[tuple[Operand, Operand]] = (),
    others: Sequence[jax.Array] = (),
  ) -> tuple[list[Moments], list[jax.Array]]:
    """Measures what is not known yet, all of one shape, in one pass.

    Returns:
      Of the pairs, see `moments.together`, and the means of other arrays.
    """
    sizes = [each for each in sizes if each not in self._sizes]
    means = [each for each in means if each not in self._means]
    counted = {
      number: windowed(each_windows, self.still(each))
      for each in sizes
      for number, each_windows in self._of_data.get(each, {}).items()
    }
    own = [*map(self.still, sizes), *counted.values()]
    both = [(self.still(a), self.still(b)) for a, b in pairs]
    if not (own or means or both or others):
      return [], []
    products, averages = moments.together(
      [*zip(own, own, strict=True), *both], [*map(self.still, means), *others]
    )
    found, averages = iter(products), iter(averages)
    self._sizes |= {each: next(found) for each in sizes}
    self._windows |= {number: next(found) for number in counted}
    self._means |= {each: next(averages) for each in means}
    return list(found), list(averages)
