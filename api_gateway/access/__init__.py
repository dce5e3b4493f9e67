"""Who may use the gateway, and for what: keys, rights, sessions, links, and the record of what was done."""
