"""The check of all records against all disks: the job of the leader, and the command `python3 -m master_node.fsck`."""
