"""The gateway's routes: they translate between HTTP and the data path, and decide nothing else."""
