"""What an initialization does to the signal going up and the gradient down.

Runs `initlab.instruments.variance`.
"""

from initlab import experiment, launch
from initlab.instruments import variance

EXPERIMENT = variance.EXPERIMENT._replace(
  program=experiment.program_of(__name__)
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
