"""The masters: which files exist, where their chunks are, who lives, and the background work of the one that leads."""
