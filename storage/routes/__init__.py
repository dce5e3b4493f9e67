"""What a worker answers, by kind."""
