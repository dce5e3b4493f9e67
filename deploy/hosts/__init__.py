"""Put the system on hosts that exist, by ssh, rsync and systemd: `python3 -m deploy.hosts --help`.

Needs Python's standard library only, so it runs wherever ssh and rsync do.
"""
