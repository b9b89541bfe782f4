"""The pages of the lab's instruments: definitions only."""
