"""What a master says of itself: every route of `app.py` and `cluster_routes.py`."""
