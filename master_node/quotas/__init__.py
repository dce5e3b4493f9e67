"""Quotas: how many bytes and files may lie under a path prefix."""
