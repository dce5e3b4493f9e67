"""Where the masters keep everything: one interface, two implementations (MongoDB, SQLite), one contract suite."""
