"""Tests of master_node/fsck."""
