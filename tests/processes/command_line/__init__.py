"""The ring of real processes: nodes that are started, killed, paused, corrupted and starved."""
