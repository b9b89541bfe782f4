"""What the statements of the paper rest on, and what real runs find of them."""

import re

import pytest

from experiments.glorot2010 import (
  claims_start,
  equations,
  jacobian,
  shapeset_samples,
  surface,
)
from initlab import launch


def test_square_layers_lead_from_one_hidden_layer_to_another():
  found = claims_start.square_layers((9, 9, 9, 7, 7, 7))
  assert found.tolist() == [False, True, False, True, False]
  assert claims_start.square_layers((9, 9)).tolist() == [False]


def test_the_moments_of_a_pixel_are_those_of_the_rules():
  """Two ranges of greys, each as likely: (57 + 197.5) / 2 on average."""
  found = shapeset_samples.predict(shapeset_samples.Config(), None)
  assert found['pixel_mean'] == pytest.approx(2 * 127.25 / 255 - 1, rel=1e-12)
  assert found['pixel_square'] == pytest.approx(0.371965, abs=5e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
  'module', [equations, jacobian, shapeset_samples, surface]
)
def test_every_claim_holds_on_the_default_run(module, tmp_path, capsys):
  argv = [module.EXPERIMENT.name, f'--out={tmp_path}', '--compile_cache=none']
  with pytest.raises(SystemExit) as exit_:
    launch.main(module.EXPERIMENT, argv)
  assert exit_.value.code == 0
  found = capsys.readouterr().out
  marks = re.findall(r'^  (pass|fail|not tested) ', found, re.M)
  assert marks == ['pass'] * len(module.EXPERIMENT.claims), found
