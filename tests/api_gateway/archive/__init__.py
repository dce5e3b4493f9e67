"""The ZIP of several files: its parts that know no network."""
