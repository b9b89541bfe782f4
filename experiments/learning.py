"""How well a network learns from its initial weights.

Runs `initlab.instruments.learning`.
"""

from initlab import experiment, launch
from initlab.instruments import learning

EXPERIMENT = learning.EXPERIMENT._replace(
  program=experiment.program_of(__name__)
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
