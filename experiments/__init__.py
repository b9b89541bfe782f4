"""The programs of the laboratory: `python -m experiments.<name>`."""
