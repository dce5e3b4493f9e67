"""What a worker says of itself: every route of `storage/routes/`."""
