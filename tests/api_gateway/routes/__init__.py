"""What single routes of the gateway answer, on a small system in this process."""
