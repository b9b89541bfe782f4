"""Seeds to lanes, devices, workers' shares and disk; it writes no report."""
