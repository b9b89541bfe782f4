"""Any JAX model, unchanged: its program, its sites and what they carry."""
