"""The API gateway: its pure parts, and its data path against workers in threads."""
