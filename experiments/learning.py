"""How well a network learns from the weights it was given.

The page is `initlab.instruments.learning`; this starts it.
"""

from initlab import experiment, launch
from initlab.instruments import learning

EXPERIMENT = learning.EXPERIMENT._replace(
  program=experiment.program_of(__name__)
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
