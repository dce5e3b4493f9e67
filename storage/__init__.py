"""The worker: keeps chunks as files on one local disk and says so in heartbeats. One implementation, many launchers."""
