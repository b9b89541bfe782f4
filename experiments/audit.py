"""Is a model's initialization right?

Question:
  Does the signal of any JAX model keep its size from site to site, forward and
  backward, over seeds? Which leaf departs from the model's own law, by what
  factor, and what is to be done?
Run:
  python -m experiments.audit --model=my_module:make --seeds=0:32
Takes:
  Under 30 seconds on two CPU cores, for the lab's transformer and ConvNet.
Expect:
  Without flags it audits a small pre-norm transformer and a residual ConvNet
  that come with the lab. The exit status is 3 on findings.
"""

from initlab.experiment import program_of
from initlab.launch import audits

if __name__ == '__main__':
  audits.audit(__doc__, program_of(__name__))
