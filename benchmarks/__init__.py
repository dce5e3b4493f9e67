"""Measurements that anyone can repeat. Nothing here is asserted by a test: machines are shared and noisy."""
