"""One contract suite for every metadata store."""
