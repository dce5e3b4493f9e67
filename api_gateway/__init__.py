"""The API gateway: what clients see, and the data path below it, which knows no Flask and serves any front end."""
