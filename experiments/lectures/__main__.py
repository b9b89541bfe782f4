"""Claims of four lectures about initialization, tested by experiments.

The lectures are Andrew Ng's on random initialization, Hugo Larochelle's on
parameter initialization, and two by 365 Data Science on what an initialization
is and on Xavier's. A claim passes or fails by measurements over many seeds.
"""

from initlab import launch
from initlab.experiment import Chapter, Collection, program_of

from .. import learning, variance
from . import (
  basins,
  claims,
  convex,
  descent,
  gradient_checking,
  init_scale,
  layer_speed,
  linear_zone,
  negative_bias,
  optimizers,
  saddle,
  saturation,
  symmetry,
)

COLLECTION = Collection(
  name='lectures',
  program=program_of(__name__),
  doc=__doc__,
  chapters=(
    Chapter(descent.EXPERIMENT, '1. Gradient descent needs a starting value'),
    Chapter(basins.EXPERIMENT, '1. The start decides where it ends'),
    Chapter(
      convex.EXPERIMENT, '2 and 4. Where any start will do, zero included'
    ),
    Chapter(symmetry.EXPERIMENT, '3. A constant start is never left'),
    Chapter(saddle.EXPERIMENT, '5. Zeros are a saddle of a tanh net'),
    Chapter(
      init_scale.EXPERIMENT,
      '6. Random values break symmetry: how small, how large',
    ),
    Chapter(
      saturation.EXPERIMENT, '7 and 8. Weights in +-0.1 and of deviation 0.1'
    ),
    Chapter(
      saturation.EXPERIMENT,
      '8. The linear and the flat zone at other scales',
      ('--init=normal', '--scale=0.01,0.1,1'),
      panels=('linear_sweep', 'flat_sweep', 'sigmoid_slope_sweep'),
      claims=(),
    ),
    Chapter(
      linear_zone.EXPERIMENT, '8. In the linear zone, no better than linear'
    ),
    Chapter(
      negative_bias.EXPERIMENT, '9. Biases: zero, or -10 for sparse units'
    ),
    Chapter(
      variance.EXPERIMENT,
      '10. Xavier keeps activations and gradients in similar ranges',
      (
        '--init=glorot_uniform,glorot_normal,uniform_tenth,normal_tenth',
        '--widths=30x5,1000x5',
        '--dataset=gaussian',
        '--examples=100',
        '--seeds=0:16',
      ),
      panels=('activation_std_depth', 'gradient_std_depth', 'saturated_depth'),
      claims=claims.XAVIER,
    ),
    Chapter(
      layer_speed.EXPERIMENT,
      '11. Larger gradients at the top: it trains faster',
    ),
    Chapter(gradient_checking.EXPERIMENT, '12. Check your gradients'),
    Chapter(
      optimizers.EXPERIMENT, '13. Gradient descent, or an advanced method'
    ),
    Chapter(
      learning.EXPERIMENT,
      '14. Try several seeds, keep the best',
      (
        '--widths=20',
        '--steps=150',
        '--record_every=50',
        '--learning_rate=0.3',
        # 120 groups of five. With 40 the gain was 0.22% and its standard
        # deviation 0.58%: a power of 0.9 with 99% intervals takes
        # ((2.58 + 1.28) 0.58 / 0.22)^2 = 104.
        '--seeds=0:600',
      ),
      panels=('final_error_seeds', 'final_error_best'),
      claims=claims.SEEDS,
    ),
  ),
)

if __name__ == '__main__':
  launch.collect(COLLECTION)
