"""Claims of four lectures about initialization, each tested."""
