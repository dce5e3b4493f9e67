"""Hosts made of namespaces: an address, folders, processes, an sshd and a systemctl of their own, and nothing else."""
