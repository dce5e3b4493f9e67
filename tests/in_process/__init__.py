"""The whole system inside the process of the test: every app as it is wired for real, served on threads."""
