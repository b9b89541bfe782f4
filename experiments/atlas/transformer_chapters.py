"""The chapters of the atlas on transformers."""

from initlab.experiment import Chapter

from . import (
  attention_collapse,
  attention_training,
  component_moments,
  depth_transfer,
  norm_placing,
  rank_collapse,
  stream_growth,
)

_TENTHS = ','.join(f'{i / 10:g}' for i in range(1, 41))
_HALVES = ','.join(f'{i / 2:g}' for i in range(1, 9))
CHAPTERS = (
  Chapter(
    depth_transfer.EXPERIMENT,
    'Dey 2025, figure 2: the learning rate from shallow to deep',
    full=(
      '--width=256',
      '--symbols=64',
      '--size=32',
      '--batch_size=32',
      '--steps=1000',
      '--depth=2,4,8,16,32,64',
      '--learning_rate=' + ','.join(str(2.0**-i) for i in range(13, 2, -1)),
    ),
    text='In CompleteP, where branches are divided by the depth, the best '
    'learning rate does not depend on it; in muP, and with branches over the '
    'square root of the depth, it does.',
  ),
  Chapter(
    norm_placing.EXPERIMENT,
    'Xiong 2020, figure 3: gradients with the norm before and after',
    full=('--width=512', '--heads=8', '--blocks=6,12,24,48,96'),
    text='In a transformer with norms after its branches the gradient of '
    'the last layer is large at any depth; with norms in front of them it '
    'falls as 1 / sqrt(L), and all layers have about the same.',
  ),
  Chapter(
    rank_collapse.EXPERIMENT,
    'Dong 2021 and Noci 2022, figure 1: tokens that become alike',
    full=('--width=512', '--heads=8', '--blocks=6,12,24,48,96'),
    text='Attention without skip connections makes all tokens alike, doubly '
    'exponentially in the depth, and then gradients of queries and keys '
    'vanish. Skips slow it down; branches times 1 / sqrt(L) stop it.',
  ),
  Chapter(
    attention_collapse.EXPERIMENT,
    'Giorlandino & Goldt 2025: two failure modes of deep transformers',
    full=(
      '--width=256',
      '--tokens=128',
      '--blocks=60',
      '--beta=' + _TENTHS,
      '--residual=' + _TENTHS,
      '--seeds=0:16',
    ),
    text='If the logits of attention are small and the residual is weak, '
    'tokens become alike; if the logits are large, queries attend to a few '
    'keys.',
  ),
  Chapter(
    attention_training.EXPERIMENT,
    'Giorlandino & Goldt 2025, the training half: which transformers learn',
    full=(
      '--width=256',
      '--tokens=128',
      '--blocks=60',
      '--steps=500',
      '--beta=' + _HALVES,
      '--residual=' + _HALVES,
      '--learning_rate=0.0003,0.001',
    ),
    text='Networks that start in either region learn less than those that '
    'start between: with small logits and a strong residual.',
  ),
  Chapter(
    component_moments.EXPERIMENT,
    'Kedia 2024: moments of every component of a transformer',
    full=('--width=256', '--tokens=128', '--logits=0.25,1,4,16,64'),
    text='Closed forms tell the variance of every component of a '
    'transformer, and how alike its tokens are, at any depth.',
  ),
  Chapter(
    stream_growth.EXPERIMENT,
    'Sun 2025 and Alekseev 2026: how the stream and its Jacobian grow',
    full=(
      '--width=512',
      '--heads=8',
      '--blocks=128',
      '--norm=layer,scaled,tanh,erf',
    ),
    text='With norms in front of the branches the variance of the stream '
    'grows with the depth, and norms over sqrt(l) bound it. The Jacobian '
    'grows as a power of the depth, and faster with tanh in place of norms.',
  ),
)
