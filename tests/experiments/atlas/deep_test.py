"""What the pages of deep transformers and ConvNets measure."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.atlas import (
  attention_collapse,
  attention_training,
  claims_attention,
  claims_depth,
  component_moments,
  depth_transfer,
  norm_placing,
  rank_collapse,
  signal_plots,
  stream_growth,
  transformers,
)
from initlab import attention, base, keys, losses
from initlab.models import parametrization, transformer
from tests.helpers import atlas, deep, studies


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


@pytest.mark.parametrize(
  ('smoke', 'name', 'value'),
  [
    (rank_collapse.SMOKE, 'heads', 3),
    (depth_transfer.SMOKE, 'width', 24),
    (attention_training.SMOKE, 'tokens', 5),
  ],
)
def test_a_knob_that_contradicts_another_is_refused(smoke, name, value):
  with pytest.raises(base.UserError, match=f'--{name}={value}: '):
    dataclasses.replace(smoke, **{name: value})


def test_the_residual_multiplies_the_stream():
  """norm(a x + A) is norm(x + A / a), but for 1e-6 that norms add to squares.

  These are near 1, so each of four norms differs by 1e-6, less than float32
  rounds four sums of eight; an entry near 0 by as much of its neighbours.
  """
  config = dataclasses.replace(attention_collapse.SMOKE, residual=4.0)
  params, words = config.draw(keys.root(0)), config.words(keys.root(0))
  options = config.options()
  found = transformer.stream(params, words, **options)
  params['blocks']['attention']['out'] /= 4
  expected = transformer.stream(params, words, **options | {'skip': (1.0, 1.0)})
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_beta_multiplies_the_logits():
  plain = attention_collapse.SMOKE
  plain = dataclasses.replace(plain, tokens=20, residual=1.0, beta=1.0)
  other = dataclasses.replace(plain, residual=4.0, beta=3.0)
  one, two = (
    each.draw(keys.root(0))['blocks']['attention'] for each in (plain, other)
  )
  np.testing.assert_array_equal(two['out'], one['out'])
  ratio = plain.block().output / other.block().output
  np.testing.assert_allclose(ratio, 16)
  np.testing.assert_allclose(two['query'], 3 * one['query'], rtol=1e-6)
  np.testing.assert_array_equal(two['value'], one['value'])
  signal = plain.start()
  variances = [
    attention.logit_variance(signal, each.block()) for each in (plain, other)
  ]
  apart = signal.variance - signal.covariance
  np.testing.assert_allclose(variances, np.log(20) * apart * np.array([1, 9]))


@pytest.mark.slow
def test_cosine_and_entropy_are_those_of_plain_numpy():
  """Of the stream below the last of three blocks, in float64."""
  config = dataclasses.replace(attention_collapse.SMOKE, blocks=3, beta=2.0)
  config = dataclasses.replace(config, residual=2.0)
  key = keys.root(0)
  found = jax.jit(lambda key: attention_collapse.run(config, key, None))(key)
  params = config.draw(key)
  last = jax.tree.map(lambda leaf: np.asarray(leaf[-1], float), params)[
    'blocks'
  ]
  params['blocks'] = jax.tree.map(lambda leaf: leaf[:-1], params['blocks'])
  x = transformer.stream(params, config.words(key), **config.options())[0]
  x = np.asarray(x, float)
  cosines = x @ x.T
  lengths = np.sqrt(np.diag(cosines))
  cosines /= np.outer(lengths, lengths)
  pairs = cosines[~np.eye(len(x), dtype=bool)]
  np.testing.assert_allclose(found.cosine, pairs.mean(), rtol=1e-4)
  layer = last['attention']
  query, key_ = (x @ layer[name][:, 0] for name in ('query', 'key'))
  weights = np.exp(query @ key_.T / query.shape[1] ** 0.5)
  weights /= weights.sum(axis=1, keepdims=True)
  entropy = -(weights * np.log(weights)).sum(axis=1).mean() / np.log(len(x))
  np.testing.assert_allclose(found.entropy, entropy, rtol=1e-4)
  np.testing.assert_allclose(
    found.participation, (weights**2).sum(axis=1).mean(), rtol=1e-4
  )


def _of_the_authors(p, beta, residual, blocks):
  """Their recursion of the cosine, with their variance of 0.2, no biases."""
  for _ in range(blocks):
    critical = (2 / (1 - p)) ** 0.5
    square = p if beta < critical else p + (1 - p) * (1 - critical / beta)
    p = (0.2 * p + residual**2 * p) / (0.2 * square + residual**2)
    angle = (np.sqrt(1 - p**2) + p * (np.pi - np.arccos(p))) / np.pi
    p = (0.02 * angle + p) / 1.02
  return p


@pytest.mark.parametrize(
  ('beta', 'residual'), [(0.5, 1.0), (3.0, 1.0), (4.0, 0.5), (1.5, 2.0)]
)
def test_lines_are_drawn_by_the_recursion_of_the_authors(beta, residual):
  config = attention_collapse.Config(residual=residual, blocks=13)
  found = claims_attention.cosine_of_many(config, beta)
  expected = _of_the_authors(0.5 / 256, beta, residual, 12)
  np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_theory_of_few_tokens_goes_to_that_of_many():
  """Of 10^6 tokens with beta = 0.3: e^v / T of a product is left, 4e-6."""
  config = attention_collapse.Config(
    beta=0.3, residual=1.0, blocks=9, tokens=10**6
  )
  found = attention_collapse.predict(config, None)
  many = claims_attention.cosine_of_many(config, 0.3)
  np.testing.assert_allclose(found['cosine'], many, rtol=1e-3)
  # H / ln T is 1 - (1 - p) beta^2 / 2 of many tokens.
  expected = 1 - (1 - many) * 0.3**2 / 2
  np.testing.assert_allclose(found['entropy'], expected, atol=1e-4)


def test_lines_are_where_their_conditions_begin():
  weak, strong = (
    attention_collapse.Config(residual=each) for each in (0.75, 4.0)
  )
  line = claims_attention.rank_collapse(weak)
  cosines = [
    claims_attention.cosine_of_many(weak, line * factor)
    for factor in (0.99, 1.01)
  ]
  assert cosines[0] > 0.5 > cosines[1]
  assert claims_attention.rank_collapse(strong) < 1e-3
  critical = claims_attention.critical_beta(strong)
  left = 1 - claims_attention.cosine_of_many(strong, critical)
  np.testing.assert_allclose(critical**2 * left, 2, rtol=1e-2)


@pytest.mark.parametrize(
  ('exponent', 'rate', 'epsilon'),
  [(0.0, 1.0, 1.0), (0.5, 0.5, 0.5), (1.0, 1.0, 0.25)],
)
def test_blocks_have_rates_and_epsilons_of_table_1(exponent, rate, epsilon):
  """The first step of Adam, of gradients g: rate g / (g + epsilon)."""
  config = depth_transfer.Config(
    exponent=exponent, depth=8, learning_rate=0.1, schedule='constant'
  )
  optimizer = config.optimizer()
  gradient = jnp.array([1e-8, 1.0])
  params = {'blocks': {'up': gradient}, 'readout': gradient}
  moved, _ = optimizer.update(params, optimizer.init(params), params)
  for leaf, factor, small in (
    (moved['blocks']['up'], rate, epsilon),
    (moved['readout'], 1.0, 1.0),
  ):
    expected = -0.1 * factor * gradient / (gradient + 1e-8 * small)
    np.testing.assert_allclose(leaf, expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('exponent', [0.5, 1.0])
def test_rates_of_depth_are_those_of_the_parametrization(exponent):
  """And nothing else changes with the depth."""

  def make(width, depth):
    config = dataclasses.replace(
      depth_transfer.SMOKE, width=width, depth=depth, exponent=exponent
    )
    return config.draw, config.loss, (depth_transfer.load(config, ''),)

  rules = parametrization.complete_p(make, (16, 3), (16, 1), exponent=exponent)
  rate, epsilon = parametrization.depth_factors(3.0, exponent)
  for name, part in rules.items():
    for rule in jax.tree.leaves(part):
      inside = name == 'blocks'
      assert rule.learning_rate == pytest.approx(rate if inside else 1)
      assert rule.epsilon == pytest.approx(epsilon if inside else 1)
      assert rule.init == 1


def test_drift_is_a_slope_of_octaves():
  for exponent, slope in ((1.0, 0.1), (0.5, -0.3), (0.0, -0.6)):
    settings = atlas.depths(complete=0.1, half=-0.3, none=-0.6)
    found = claims_depth.drift(settings, exponent)
    np.testing.assert_allclose(found.value, slope, rtol=1e-9)


def test_theory_of_the_gradients_has_an_entry_a_block():
  config = transformers.Encoder(width=8, heads=2, tokens=3, blocks=2)
  found = transformers.gradient_norms(config, transformers.theory(config))
  assert found.shape == (2,)
  assert (found > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(
  ('module', 'failing'),
  [
    (attention_collapse, set()),
    (component_moments, set()),
    (rank_collapse, set()),
    (signal_plots, set()),
    (stream_growth, {'atlas 12, Jacobian'}),
  ],
)
def test_every_claim_holds_by_default_but_what_the_docs_say(
  module, failing, tmp_path
):
  outcomes = studies.run(module.EXPERIMENT, tmp_path)
  holds = studies.holds(module.EXPERIMENT, outcomes)
  assert {name for name, held in holds.items() if not held} == failing
