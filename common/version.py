"""The release of this software, as heartbeats and /cluster report it."""

VERSION = "0.1.0"
