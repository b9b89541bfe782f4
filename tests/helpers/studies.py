"""Whole runs of experiments, without pictures, and what they find of claims."""

import contextlib

from initlab import claims
from initlab.engine import study
from initlab.launch.flags import define_flags, read_options, read_settings


def run(experiment, out, *flags):
  """The outcomes of `python -m experiments.<name> [flags]`."""
  values = define_flags(experiment)
  values(['_', *flags, f'--out={out}'])
  settings = read_settings(experiment, values)
  options = read_options(values).of_study('')
  quiet = lambda total: contextlib.nullcontext(lambda label, count: None)
  bare = experiment._replace(panels=(), compared=())
  return study.run(bare, settings, options, quiet)[0]


def holds(experiment, outcomes):
  """Claim -> whether it holds; None for what the run cannot tell."""
  stated = experiment.claims
  found = claims.findings(stated, outcomes)
  return {c.name: f.holds for c, f in zip(stated, found, strict=True)}
