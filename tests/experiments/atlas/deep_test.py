"""What the pages of deep transformers and ConvNets measure."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.atlas import (
  component_moments,
  norm_placing,
  rank_collapse,
  signal_plots,
  stream_growth,
  transformers,
)
from initlab import keys, losses
from initlab.models import transformer
from tests.helpers import deep, studies


@pytest.mark.slow
def test_gradients_are_norms_of_the_blocks_own():
  config = dataclasses.replace(norm_placing.SMOKE, norm='post')
  key = keys.root(0)

  def loss(params):
    logits = transformer.apply(
      params,
      config.words(key),
      activation=jax.nn.relu,
      causal=False,
      norm='post',
    )
    labels = config.words(keys.stream(key, 'labels'))
    return jnp.mean(jax.vmap(jax.vmap(losses.cross_entropy))(logits, labels))

  gradient = jax.jit(jax.grad(loss))(config.draw(key))['blocks']['mlp']['down']
  found = jax.jit(lambda key: norm_placing.run(config, key, None))(key)
  expected = [np.linalg.norm(each) for each in gradient]
  np.testing.assert_allclose(found.gradient, expected, rtol=1e-4)


def test_exponents_are_powers_of_the_depth():
  found = norm_placing.exponents(deep.norm_placings(pre=-0.4)[:3])
  np.testing.assert_allclose(found, -0.4, atol=1e-12)


def test_scaled_branches_are_divided_by_the_root_of_the_depth():
  config = rank_collapse.Config(skips='scaled', blocks=16)
  assert config.scales() == (1.0, 0.25)
  assert rank_collapse.Config(skips='none').scales() == (0.0, 1.0)
  # Without skips three blocks are enough for theory's cosine to be 1.
  alone = rank_collapse.predict(rank_collapse.Config(skips='none'), None)
  assert alone['cosine'][0] < 0.9
  assert alone['cosine'][2] > 1 - 1e-5


@pytest.mark.parametrize(
  ('log', 'bend'), [(np.log, 1.0), (np.sqrt, 2.0), (np.asarray, 4.0)]
)
def test_a_bend_tells_powers_from_stretched_exponentials(log, bend):
  depth = np.arange(1.0, 65.0)
  found = stream_growth._summary(np.log(depth), np.exp(-0.1 * log(depth)))
  np.testing.assert_allclose(found['bend'], bend, rtol=1e-4)
  np.testing.assert_allclose(found['growth'], 1.0, rtol=1e-6)


def test_norms_of_the_scaled_stream_shrink_with_the_block():
  config = dataclasses.replace(stream_growth.SMOKE, norm='scaled')
  norms = config.draw(keys.root(0))['blocks']['mlp']['norm']
  np.testing.assert_allclose(norms[8], 1 / 3, rtol=1e-6)


def test_logits_have_the_variance_that_is_asked_for():
  config = dataclasses.replace(component_moments.SMOKE, logits=4.0)
  same = dataclasses.replace(component_moments.SMOKE, logits=1.0)
  wide, plain = (
    each.draw(keys.root(0))['blocks']['attention'] for each in (config, same)
  )
  np.testing.assert_allclose(wide['query'], 2 * plain['query'], rtol=1e-6)
  np.testing.assert_array_equal(wide['key'], plain['key'])


def test_the_share_of_taps_inside_of_the_image():
  """Counted, of images of 32, 16 and 8 pixels a side."""
  counted = []
  for side in (32, 16, 8):
    taps = np.convolve(np.ones(side), np.ones(3), 'same').mean() / 3
    counted.append(taps**2)
  found = signal_plots.inside(signal_plots.Config())
  np.testing.assert_allclose(found, counted, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize('norm', ['batch', 'standardized'])
def test_variances_of_wide_channels_are_those_of_theory(norm):
  config = signal_plots.Config(
    norm=norm, width=48, blocks=3, stages=2, side=16, images=16
  )
  run = jax.jit(lambda key: signal_plots.run(config, key, None))
  found = [run(keys.at(keys.root(0), jnp.uint32(seed))) for seed in range(4)]
  measured = np.mean([each.variance for each in found], axis=0)
  expected = signal_plots.predict(config, None)['variance']
  # A channel's variance varies by sqrt(2 / n_in) of 27 weights in the stem, so
  # its mean over 48 channels and 4 networks by 2%: at 4 of these. Standardized
  # kernels do not cancel means at the edge of the image, which adds a little.
  np.testing.assert_allclose(measured, expected, rtol=0.1)


def test_theory_of_the_gradients_has_an_entry_a_block():
  config = transformers.Encoder(width=8, heads=2, tokens=3, blocks=2)
  found = transformers.gradient_norms(config, transformers.theory(config))
  assert found.shape == (2,)
  assert (found > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(
  'module', [component_moments, rank_collapse, signal_plots, stream_growth]
)
def test_every_claim_holds_as_it_runs_by_default(module, tmp_path):
  outcomes = studies.run(module.EXPERIMENT, tmp_path)
  assert set(studies.holds(module.EXPERIMENT, outcomes).values()) == {True}
