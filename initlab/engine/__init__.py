"""Runs seeds over lanes, devices and workers, and stores their results."""
