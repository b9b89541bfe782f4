"""Exports a report to an experiment tracker with the API of wandb.

One run a setting, never one a seed: a run holds the means over seeds, the ends
of their 95% intervals and theory, and in its config the knobs, the verdict, and
where page, rows and flagfile are. trackio serves the same API locally.

    error, error_low, error_high                  at every recorded step
    activation_std/layer_3, ..._low, ..._high     at every recorded step
    gradient_std, ..._low, ..._high, ..._theory   of networks that are not
                                                  trained: the step is the layer
    final_error, ..._low, ..._high                of the network: at the last

Of a collection one run a chapter: 1 for a claim that holds, 0 for one that
fails, and how many have which mark; the chapter's own program exports its
settings.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import contextlib
import hashlib
import importlib
import pathlib
import sys
from typing import Any, NamedTuple

import numpy as np

from initlab import base, claims, stats
from initlab.engine import files
from initlab.experiment import Collection, Experiment, Outcome, written
from initlab.report import collection as collections, summary


class Tracker(NamedTuple):
  """A tracker with the API of wandb.

  package: what pip installs.
  quiet: options of its `init`, e.g. that the machine is not measured: nothing
    is computed while a report is exported.
  failed: options of its `finish` after a failure.
  """

  package: str
  quiet: Mapping[str, Any]
  failed: Mapping[str, Any]


TRACKERS = {
  'trackio': Tracker(
    'initlab[trackio]', {'auto_log_cpu': False, 'auto_log_gpu': False}, {}
  ),
  'wandb': Tracker(
    'wandb',
    {'settings': {'console': 'off', 'quiet': True, 'x_disable_stats': True}},
    {'exit_code': 1},
  ),
}


class Run(NamedTuple):
  """A run of a tracker.

  name, group, config: as the tracker's `init` takes them.
  metrics: step -> name -> value, ascending.
  """

  name: str
  group: str
  config: Mapping[str, Any]
  metrics: Mapping[int, Mapping[str, float]]


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


def export(tracker: str, project: str, runs: Sequence[Run], page: str) -> str:
  """Exports runs, unless the same ones were exported to this project before.

  A file says so; without it they are exported again.

  Args:
    tracker: a key of `TRACKERS`.
    project: of the tracker.
    runs: at least one.
    page: of the report; the file lies beside it.

  Returns:
    What was exported, or why it was not, in words: the report is there, and a
    tracker that fails takes nothing from it.

  Raises:
    UserError: the tracker is not installed.
  """
  module = library(tracker)
  where = f'the project {project} of {tracker}'
  told = f'{len(runs)} run{"s" * (len(runs) > 1)} in {where}'
  numbers = repr([(run.name, run.metrics) for run in runs])
  digest = hashlib.sha256(numbers.encode()).hexdigest()[:8]
  name = f'tracked-{tracker}-{project}-{digest}.txt'
  done = pathlib.Path(page).with_name(name)
  if done.exists():
    return f'{told}, exported before; without {done} again'
  count = 0
  try:
    # Trackers greet on stdout, which is the report's.
    with contextlib.redirect_stdout(sys.stderr):
      for run in runs:
        _export(module, TRACKERS[tracker], project, run)
        count += 1
  except Exception as error:
    reason = ' '.join(str(error).split()).rstrip('.') or type(error).__name__
    return (
      f'failed after {count} of {told}: {reason}; the same command tries again'
    )
  files.write_text(done, f'{told}\n')
  return told


def _export(module: Any, tracker: Tracker, project: str, run: Run) -> None:
  """Exports a run; one that fails midway is finished as failed."""
  opened = module.init(
    project=project,
    name=run.name,
    group=run.group,
    config=dict(run.config),
    **tracker.quiet,
  )
  try:
    for step, metrics in run.metrics.items():
      opened.log(dict(metrics), step=step)
  except BaseException:
    module.finish(**tracker.failed)
    raise
  module.finish()


def of_study(
  experiment: Experiment,
  outcomes: Sequence[Outcome],
  facts: Mapping[str, str],
) -> list[Run]:
  """One run a setting.

  Args:
    experiment: the program that ran.
    outcomes: its settings.
    facts: from `publish.publish`.
  """
  return [
    Run(
      f'{experiment.name}: {outcome.label}',
      experiment.name,
      config(experiment, outcome, facts),
      dict(logged(outcome)),
    )
    for outcome in outcomes
  ]


def of_collection(
  collection: Collection, parts: Iterable[collections.Part]
) -> list[Run]:
  """One run a chapter that was run.

  Args:
    collection: the collection.
    parts: its chapters, from `collection.run`.
  """
  return [_of_chapter(collection, part) for part in parts if not part.reason]


def _of_chapter(collection: Collection, part: collections.Part) -> Run:
  marks = [claims.mark(each, collection.marks) for each in part.findings]
  stated = list(zip(part.claims, part.findings, marks, strict=True))
  metrics = {
    f'claims/{mark}': float(marks.count(mark)) for mark in collection.marks
  } | {
    f'claim/{claim.name}': float(finding.holds)
    for claim, finding, _ in stated
    if finding.holds is not None
  }
  found = '\n'.join(
    f'{claim.name}, {mark}: {finding.evidence}'
    for claim, finding, mark in stated
  )
  about = {
    'program': part.experiment.name,
    'settings': len(part.outcomes),
    'seeds': part.facts['seeds'],
    'verdict': found,
    **_links(part.facts),
  }
  name = f'{collection.name}: {part.chapter.title}'
  return Run(name, collection.name, about, {0: metrics})


def config(
  experiment: Experiment, outcome: Outcome, facts: Mapping[str, str]
) -> dict[str, Any]:
  """What identifies a run: knobs, seeds, verdict, and where its files are."""
  knobs = {name: _knob(value) for name, value in vars(outcome.config).items()}
  return {
    **knobs,
    'seeds': summary.seeds_in_words(outcome.seeds),
    'verdict': '\n'.join(experiment.verdict(outcome)),
    **_links(facts),
  }


def _links(facts: Mapping[str, str]) -> dict[str, str]:
  """Where the files are, absolute, and how to repeat the run."""
  return {
    name: str(pathlib.Path(facts[name]).absolute())
    for name in _PATHS
    if name in facts
  } | {name: facts[name] for name in _FACTS if name in facts}


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
