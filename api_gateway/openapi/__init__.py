"""What the gateway says of itself: every route of `api_gateway/routes/`, described by kind as they are there."""
