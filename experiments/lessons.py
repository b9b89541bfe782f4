"""What four lectures say about initialization, each claim an experiment.

The lectures are Andrew Ng's on random initialization, Hugo Larochelle's on the
initialization of parameters, and the two of 365 Data Science on what an
initialization is and on Xavier's. A claim passes or fails by what is measured
here over many seeds, and every picture shows them.
"""

from initlab import base, launch

COLLECTION = base.Collection(
  name='lessons',
  doc=__doc__,
  chapters=(
    base.Chapter(
      'variance',
      'Xavier initialization keeps activations and gradients in similar ranges',
      ('--init=glorot', '--distribution=uniform,normal', '--widths=256x5'),
      panels=('activation_std_depth', 'gradient_std_depth'),
    ),
  ),
)

if __name__ == '__main__':
  launch.collect(COLLECTION)
