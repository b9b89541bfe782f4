"""Where a variable of a program comes from."""

from collections.abc import Sequence
from typing import NamedTuple

NONE: frozenset[int] = frozenset()


class Origin(NamedTuple):
  """Where a variable comes from.

  data: whether it depends on the batch.
  leaves: of the params, if it depends on nothing else.
  stacked: those of them that a loop cuts by iterations.
  sites: all sites before it, in this iteration of the innermost loop.
  last: the sites from which it is reached through no other.
  tag: the site whose output it is, up to layout and bias.
  carries: the sites whose summed output it is, normalized, cut or scaled.
  uniform: whether all entries are equal.
  units: dimensions that index units of that site.
  same: the variable that it is a layout of.
  stem: the variable that it is a layout of, scaled, masked or cut.
  """

  data: bool = False
  leaves: frozenset[int] = NONE
  stacked: frozenset[int] = NONE
  sites: frozenset[int] = NONE
  last: frozenset[int] = NONE
  tag: int | None = None
  carries: frozenset[int] = NONE
  uniform: bool = False
  units: tuple[int, ...] = ()
  same: int = -1
  stem: int = -1


def merged(origins: Sequence[Origin]) -> Origin:
  """The origin of what is computed from several variables."""
  union = lambda name: NONE.union(*(getattr(each, name) for each in origins))
  data = any(each.data for each in origins)
  return Origin(
    data=data,
    leaves=NONE if data else union('leaves'),
    stacked=NONE if data else union('stacked'),
    sites=union('sites'),
    last=union('last'),
  )


def carried_by(
  inputs: Sequence[Origin], summed: bool = False
) -> frozenset[int]:
  """The sites that some operands carry and the others come from."""
  known = {each.carries for each in inputs if each.carries}
  if not known or (len(known) > 1 and not summed):
    return NONE
  found = NONE.union(*known)
  rest = (each.last for each in inputs if each.data and not each.carries)
  return found if all(last <= found for last in rest) else NONE
