"""Several files and folders as one ZIP, streamed: what is chosen, what it is called inside, how it is written."""
