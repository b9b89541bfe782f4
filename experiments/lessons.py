"""What four lectures say about initialization, each claim an experiment.

The lectures are Andrew Ng's on random initialization, Hugo Larochelle's on the
initialization of parameters, and the two of 365 Data Science on what an
initialization is and on Xavier's. A claim passes or fails by what is measured
here over many seeds, and every picture shows them.
"""

from initlab import base, launch, lectures

COLLECTION = base.Collection(
  name='lessons',
  doc=__doc__,
  chapters=(
    base.Chapter('descent', '1. Gradient descent needs a starting value'),
    base.Chapter('basins', '1. The start decides where it ends'),
    base.Chapter('convex', '2 and 4. Where any start will do, zero included'),
    base.Chapter('symmetry', '3. A constant start is never left'),
    base.Chapter('saddle', '5. Zeros are a saddle of a tanh net'),
    base.Chapter(
      'epsilon', '6. Random values break symmetry: how small, how large'
    ),
    base.Chapter(
      'saturation', '7 and 8. Weights in +-0.1 and of deviation 0.1'
    ),
    base.Chapter(
      'saturation',
      '8. The linear and the flat zone at other scales',
      ('--init=normal', '--scale=0.01,0.1,1'),
      panels=('linear_sweep', 'flat_sweep', 'sigmoid_slope_sweep'),
      claims=(),
    ),
    base.Chapter('linear_zone', '8. In the linear zone, no better than linear'),
    base.Chapter('sparsity', '9. Biases: zero, or -10 for sparse units'),
    base.Chapter(
      'variance',
      '10. Xavier keeps activations and gradients in similar ranges',
      (
        '--init=glorot_uniform,glorot_normal,uniform_tenth,normal_tenth',
        '--widths=30x5,1000x5',
        '--dataset=gaussian',
        '--examples=100',
        '--seeds=0:16',
      ),
      panels=('activation_std_depth', 'gradient_std_depth', 'saturated_depth'),
      claims=lectures.XAVIER,
    ),
    base.Chapter('pace', '11. Larger gradients at the top: it trains faster'),
    base.Chapter('gradients', '12. Check your gradients'),
    base.Chapter('methods', '13. Gradient descent, or an advanced method'),
    base.Chapter(
      'learning',
      '14. Try several seeds, keep the best',
      (
        '--widths=20',
        '--steps=150',
        '--record_every=50',
        '--learning_rate=0.3',
        # 120 groups of five. At 40 the gain was 0.22% and its standard
        # deviation 0.58%: to see that with 99% intervals and a power of 0.9
        # takes ((2.58 + 1.28) 0.58 / 0.22)^2 = 104.
        '--seeds=0:600',
      ),
      panels=('final_error_seeds', 'final_error_best'),
      claims=lectures.SEEDS,
    ),
  ),
)

if __name__ == '__main__':
  launch.collect(COLLECTION)
