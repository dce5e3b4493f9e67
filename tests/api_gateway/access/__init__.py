"""Who may use the gateway: each part alone, and all of it against every route."""
