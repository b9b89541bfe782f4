"""Ng's claims about gradient checking, tested on `gradient_checking`."""

import numpy as np

from initlab import claims

SOURCE = 'Andrew Ng, Gradient checking'


@claims.claim('lecture 12, right', SOURCE)
def right_at_lecture(outcomes):
  """A right gradient is within 1e-9 of two-sided differences at epsilon 1e-4.

  Holds if the error of every network is below 1e-9, for every nonlinearity and
  loss. An error that is not a number counts against it. Networks in which a
  step crosses a kink have no gradient to check.

  Untested if in half of the networks of a nonlinearity, or in more, a step
  crosses a kink.
  """
  return _right(outcomes, digits=4)


@claims.claim('lecture 12, epsilon', 'derived here')
def right_at_best(outcomes):
  """At epsilon 1e-5 it is: the error of the differences, of order epsilon^2 and
  2^-53 / epsilon, is least near the cube root of 2^-53, 5e-6.

  Holds if the error of every network is below 1e-9, as at epsilon 1e-4.

  Untested if in half of the networks of a nonlinearity, or in more, a step
  crosses a kink.
  """
  return _right(outcomes, digits=5)


def _right(outcomes, digits):
  """Whether right gradients are within 1e-9 at epsilon 10^-digits."""
  settings = claims.every(outcomes)
  at = settings[0].steps.index(digits)
  of = lambda field: np.stack([x.measured[field][:, at] for x in settings])
  error, smooth = of('error'), of('kinks') == 0
  if smooth.mean(axis=1).min() <= 0.5:
    raise claims.Untested('steps cross a kink in half of the networks')
  within = error[smooth] < 1e-9
  largest = np.max(error, axis=1, initial=0, where=smooth)
  worst = int(np.argmax(largest))
  return claims.finding(
    within.all(),
    f'at epsilon 1e-{digits} {within.sum()} of {within.size} networks are '
    f'within 1e-9; largest error {largest[worst]:.2g}, of '
    f'{settings[worst].label}',
  )


@claims.claim('lecture 12, wrong', SOURCE)
def wrong_gradient(outcomes):
  """One whose backward pass forgets a factor is off by more than 1e-3.

  Holds if the error of every gradient without the slopes is above 1e-3 at
  epsilon 1e-5: a million times what the lecture allows a right one. An error
  that is not a number counts against it.

  Untested if the run has no nonlinearity of a slope other than 1.
  """
  found = [each for each in outcomes if each.config.activation != 'identity']
  if not found:
    raise claims.Untested('a nonlinearity with a slope other than 1 is wanted')
  errors = [each.measured['wrong'].min() for each in found]
  least = int(np.argmin(errors))
  return claims.finding(
    errors[least] > 1e-3,
    f'{len(found)} settings, smallest error {errors[least]:.2g}, of '
    f'{found[least].label}',
  )


GRADIENT_CHECKING = (right_at_lecture, right_at_best, wrong_gradient)
