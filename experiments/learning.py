"""How well a network learns from its initial weights.

Runs `initlab.instruments.learning`; with --model, for any JAX model,
`initlab.instruments.model_learning`.
"""

from initlab import experiment, launch
from initlab.instruments import learning, model_learning

_PROGRAM = experiment.program_of(__name__)

EXPERIMENT = learning.EXPERIMENT._replace(program=_PROGRAM)
INSTEAD = {'model': model_learning.EXPERIMENT._replace(program=_PROGRAM)}

if __name__ == '__main__':
  launch.main(EXPERIMENT, instead=INSTEAD)
