"""What puts the system on hosts and keeps it up to date there."""
