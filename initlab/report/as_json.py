"""The outcome of a command for machines: JSON, as `--json` prints it.

An estimate is an object of value, low and high (the ends of its 95% interval
over seeds) and seeds (how many are in it). What is not finite is null. Samples
of values are left out; they are in the rows. `docs/machines.md` lists the keys.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
from typing import Any

import numpy as np

import initlab
from initlab import claims, stats
from initlab.experiment import Claim, Experiment, Finding, Outcome, written
from initlab.report import comparison, summary

SCHEMA = 2  # raised when a key changes its meaning or goes


def document(kind: str, content: Mapping[str, Any]) -> str:
  """The text of a document: one JSON object."""
  head = {'schema': SCHEMA, 'initlab': initlab.__version__, 'kind': kind}
  return json.dumps(head | dict(content), indent=1, allow_nan=False) + '\n'


def study(
  experiment: Experiment,
  outcomes: Sequence[Outcome],
  facts: Mapping[str, str],
) -> dict[str, Any]:
  """The content of a study.

  Args:
    experiment: the program that ran.
    outcomes: its settings, at least one.
    facts: how to repeat the run, and where the files are.
  """
  findings = claims.findings(experiment.claims, outcomes)
  return {
    'experiment': experiment.name,
    'summary': summary.first_line(experiment.doc),
    'claims': stated(experiment.claims, findings),
    'settings': [_setting(experiment, outcome) for outcome in outcomes],
    'comparisons': [
      _comparison(field, each)
      for field in experiment.compared
      for each in comparison.compare(field, outcomes)
    ],
    'facts': dict(facts),
  }


def stated(
  stated: Sequence[Claim], findings: Sequence[Finding]
) -> list[dict[str, Any]]:
  """Claims with their findings; `holds` is null where the run cannot decide."""
  return [
    {
      'name': claim.name,
      'text': claim.text,
      'source': claim.source,
      'holds': finding.holds,
      'evidence': finding.evidence,
    }
    for claim, finding in zip(stated, findings, strict=True)
  ]


def estimate(found: stats.Estimate) -> dict[str, Any]:
  """An estimate; of an array, each entry is a nested list of its shape."""
  return {
    'value': numbers(found.value),
    'low': numbers(found.low),
    'high': numbers(found.high),
    'seeds': np.asarray(found.n).tolist(),
  }


def numbers(values: Any) -> Any:
  """A number, or nested lists of numbers, null for what is not finite."""
  array = np.asarray(values, float)
  found = array.astype(object)
  found[~np.isfinite(array)] = None
  return found.tolist()


def _setting(experiment: Experiment, outcome: Outcome) -> dict[str, Any]:
  config = outcome.config
  answer: dict[str, dict[str, Any]] = {}
  for (group, head), value in experiment.answer(outcome).items():
    known = isinstance(value, stats.Estimate)
    answer.setdefault(group, {})[head] = (
      estimate(value) if known else numbers(value)
    )
  return {
    'label': outcome.label,
    'config': {
      field.name: _knob(getattr(config, field.name))
      for field in dataclasses.fields(config)
    },
    'seeds': np.asarray(outcome.seeds).tolist(),
    'steps': list(outcome.steps),
    'verdict': list(experiment.verdict(outcome)),
    'remarks': summary.remarks(outcome),
    'answer': answer,
    'measured': {
      field: _measure(outcome, field)
      for field in outcome.measured
      if 'value' not in summary.axes_of(outcome, field)
    },
  }


def _knob(value: Any) -> Any:
  """The value of a knob; a function is its name."""
  return written(value) if callable(value) else value


def _measure(outcome: Outcome, field: str) -> dict[str, Any]:
  found = {
    'axes': list(summary.axes_of(outcome, field)),
    'mean': summary.MEANS[stats.mean_name(outcome, field)],
    **estimate(stats.average(outcome, field)),
  }
  if field in outcome.predicted:
    found['theory'] = numbers(summary.theory_of(outcome, field))
  return found


def _comparison(field: str, found: comparison.Comparison) -> dict[str, Any]:
  return {
    'measure': field,
    'a': found.a,
    'b': found.b,
    'difference': estimate(found.difference),
    'p': numbers(found.p),
    'p_holm': numbers(found.holm),
    'seeds_needed': estimate(found.needed),
  }
