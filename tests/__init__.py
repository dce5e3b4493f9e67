"""All tests of the Distributed File System."""
