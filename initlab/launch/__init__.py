"""What a shell starts: flags, JAX settings, workers and the program."""

from initlab.launch.shell import collect, main

__all__ = ['collect', 'main']
