"""The chaos command: a cluster of real processes under load, faults, and a check of everything it promised."""
