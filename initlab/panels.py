"""Panels: the figures of an experiment, as data, one class per kind.

    panels.Depth('gradient_std', 'Gradients', 'std of dC/ds', log=True)

A panel describes a figure; `report.plots` draws it.
"""

from collections.abc import Callable
import dataclasses
import math
from typing import Any, ClassVar


@dataclasses.dataclass(frozen=True)
class Panel:
  """One figure of an experiment.

  field: the field of Result to draw.
  title: a full phrase.
  label: of the measured axis, with the unit.
  log: whether the measured axis is logarithmic.
  tuned: a knob and a field, as for an Experiment: of settings that differ only
    in that knob, the best one is drawn.
  most: of more settings only so many are drawn, evenly spaced.
  """

  kind: ClassVar[str]
  most: ClassVar[float] = 16

  field: str
  title: str
  label: str
  _: dataclasses.KW_ONLY
  log: bool = False
  tuned: tuple[str, str] | None = None

  @property
  def name(self) -> str:
    """The name of its files, unique in an experiment."""
    name = f'{self.field}_{self.kind}'
    return f'{name}_tuned' if self.tuned else name


@dataclasses.dataclass(frozen=True)
class Depth(Panel):
  """A PerLayer measure against depth, with intervals and theory.

  over: the label of the axis of depth.
  """

  kind: ClassVar[str] = 'depth'

  _: dataclasses.KW_ONLY
  over: str = 'layer (the last is the output)'


@dataclasses.dataclass(frozen=True)
class Histogram(Panel):
  """The distribution of a PerLayerSample field, one curve a layer.

  log: whether the density is logarithmic.
  """

  kind: ClassVar[str] = 'histogram'


@dataclasses.dataclass(frozen=True)
class Curves(Panel):
  """A PerStep or PerStepLayer measure against the recorded steps.

  over: the unit of the steps, 'step' or 'evaluation'.
  excess: whether to subtract the minimum over settings, seeds and steps, for a
    loss with unknown optimum.
  spread: (layers) the field of the half length of the bars.
  markers: (layers) a field drawn as markers beside the line.
  hidden: (layers) whether to leave out the output layer.
  """

  kind: ClassVar[str] = 'curve'

  _: dataclasses.KW_ONLY
  over: str = 'step'
  excess: bool = False
  spread: str = ''
  markers: str = ''
  hidden: bool = False


@dataclasses.dataclass(frozen=True)
class Sweep(Panel):
  """A PerNetwork measure against a knob, one line per value of the others.

  A measure of zeros and ones has the interval of a share; theory is dashed.

  knob: of numbers; the axis is logarithmic if they are positive and span a
    factor of 30.
  """

  kind: ClassVar[str] = 'sweep'
  most: ClassVar[float] = math.inf

  _: dataclasses.KW_ONLY
  knob: str


@dataclasses.dataclass(frozen=True)
class Map(Panel):
  """A PerNetwork measure by knobs, as a heat map.

  x, y: the knobs; the colour is the mean over seeds. Numbers have a scale;
    words, and the joint values of several knobs, have cells of one size.
  lines: each `config -> number` by theory, in the unit of y and named like what
    it gives, drawn against x.
  multiples: of these numbers, one line each.
  """

  kind: ClassVar[str] = 'map'
  most: ClassVar[float] = math.inf

  _: dataclasses.KW_ONLY
  x: str | tuple[str, ...]
  y: str | tuple[str, ...]
  lines: tuple[Callable[[Any], float], ...] = ()
  multiples: tuple[float, ...] = (1.0,)


@dataclasses.dataclass(frozen=True)
class Seeds(Panel):
  """A PerNetwork measure by seed, one row per setting, with its median."""

  kind: ClassVar[str] = 'seeds'


@dataclasses.dataclass(frozen=True)
class Best(Panel):
  """The lowest of k seeds against k: the median over all choices of k seeds."""

  kind: ClassVar[str] = 'best'


@dataclasses.dataclass(frozen=True)
class Image(Panel):
  """A square PerNetworkSample field, row by row, for several seeds."""

  kind: ClassVar[str] = 'image'


@dataclasses.dataclass(frozen=True)
class Surface(Panel):
  """A square PerNetworkSample field as a surface, for the first seed.

  extent: the knob with the range of both axes.
  """

  kind: ClassVar[str] = 'surface'

  _: dataclasses.KW_ONLY
  extent: str
