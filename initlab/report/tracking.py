"""Exports a report to an experiment tracker with the API of wandb.

One run a setting, never one a seed: a run holds the means over seeds, the ends
of their 95% intervals and theory, and in its config the knobs, the verdict, and
where page, rows and flagfile are. trackio serves the same API locally.

    error, error_low, error_high                  at every recorded step
    activation_std/layer_3, ..._low, ..._high     at every recorded step
    gradient_std, ..._low, ..._high, ..._theory   of networks that are not
                                                  trained: the step is the layer
    final_error, ..._low, ..._high                of the network: at the last
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import importlib
import pathlib
import sys
from typing import Any, NamedTuple

import numpy as np

from initlab import base, stats
from initlab.engine import files
from initlab.experiment import Experiment, Outcome, written
from initlab.report import summary


class Tracker(NamedTuple):
  """A tracker with the API of wandb.

  package: what pip installs.
  quiet: options of its `init`, e.g. that the machine is not measured: nothing
    is computed while a report is exported.
  """

  package: str
  quiet: Mapping[str, Any]


TRACKERS = {
  'trackio': Tracker(
    'initlab[trackio]', {'auto_log_cpu': False, 'auto_log_gpu': False}
  ),
  'wandb': Tracker('wandb', {}),
}

_ENDS = ('', '_low', '_high')
_PATHS = ('page', 'rows', 'flags')
_FACTS = ('replay', 'command', 'versions')


def library(tracker: str) -> Any:
  """The module of a tracker.

  Raises:
    UserError: it is not installed.
  """
  try:
    return importlib.import_module(tracker)
  except ImportError:
    raise base.UserError(
      f'--tracker={tracker}: {tracker} is not installed: pip install '
      f'{TRACKERS[tracker].package}'
    ) from None


def export(
  tracker: str,
  project: str,
  experiment: Experiment,
  outcomes: Sequence[Outcome],
  facts: Mapping[str, str],
) -> str:
  """Exports a report, unless it was exported to this project before.

  A file beside the report says so; without it the report is exported again.

  Args:
    tracker: a key of `TRACKERS`.
    project: of the tracker.
    experiment: the program that ran.
    outcomes: its settings.
    facts: from `publish.publish`.

  Returns:
    What was exported, in words.

  Raises:
    UserError: the tracker is not installed.
  """
  module = library(tracker)
  told = f'{len(outcomes)} runs in the project {project} of {tracker}'
  place = pathlib.Path(facts['page']).parent
  done = place / f'tracked-{tracker}-{project}.txt'
  if done.exists():
    return f'{told}, exported before; without {done} again'
  # Trackers greet on stdout, which is the report's.
  with contextlib.redirect_stdout(sys.stderr):
    for outcome in outcomes:
      name = f'{experiment.name}: {outcome.label}'
      run = module.init(
        project=project,
        name=name,
        group=experiment.name,
        config=config(experiment, outcome, facts),
        **TRACKERS[tracker].quiet,
      )
      for step, metrics in logged(outcome):
        run.log(metrics, step=step)
      module.finish()
  files.write_text(done, f'{told}\n')
  return told


def config(
  experiment: Experiment, outcome: Outcome, facts: Mapping[str, str]
) -> dict[str, Any]:
  """What identifies a run: knobs, seeds, verdict, and where its files are."""
  knobs = {name: _knob(value) for name, value in vars(outcome.config).items()}
  paths = {
    name: str(pathlib.Path(facts[name]).absolute())
    for name in _PATHS
    if name in facts
  }
  return {
    **knobs,
    'seeds': summary.seeds_in_words(outcome),
    'verdict': '\n'.join(experiment.verdict(outcome)),
    **paths,
    **{name: facts[name] for name in _FACTS if name in facts},
  }


def _knob(value: Any) -> bool | float | str:
  return value if isinstance(value, int | float | str) else written(value)


def logged(outcome: Outcome) -> Iterator[tuple[int, dict[str, float]]]:
  """Step -> its metrics, ascending; values that are not finite are left out."""
  steps: dict[int, dict[str, float]] = {}
  for field in outcome.measured:
    axes = summary.axes_of(outcome, field)
    if 'value' not in axes:
      for step, tag, value in _entries(outcome, field, axes):
        if np.isfinite(value):
          steps.setdefault(step, {})[tag] = float(value)
  yield from sorted(steps.items())


def _entries(
  outcome: Outcome, field: str, axes: tuple[str, ...]
) -> Iterator[tuple[int, str, Any]]:
  """Step, tag and value of every number of a measure."""
  ends = dict(zip(_ENDS, stats.average(outcome, field)[:3], strict=True))
  if field in outcome.predicted:
    ends['_theory'] = summary.theory_of(outcome, field)
  for end, values in ends.items():
    for place in np.ndindex(np.shape(values)):
      at = dict(zip(axes, place, strict=True))
      layer = at['layer'] + 1 if 'layer' in at else None
      if outcome.steps:
        step = outcome.steps[at.get('step', -1)]
        inside = f'/layer_{layer}' if layer else ''
      else:
        step, inside = layer or _depth(outcome), ''
      yield step, f'{field}{inside}{end}', np.asarray(values)[place]


def _depth(outcome: Outcome) -> int:
  """The number of layers, the last step of a network that is not trained."""
  return max(
    (
      values.shape[1]
      for field, values in outcome.measured.items()
      if summary.axes_of(outcome, field)[:1] == ('layer',)
    ),
    default=0,
  )
