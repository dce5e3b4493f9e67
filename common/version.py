"""The release of this software, as heartbeats and /cluster report it, and with which others it works together.

The protocol's number rises when nodes of this release and of the one before cannot understand each other: then an
update is no rolling one, and the changelog says so. A new field, or a new route that nobody depends on, is no reason:
nodes ignore the fields that they do not know.
"""

from __future__ import annotations

from common.errors import IncompatibleRelease

VERSION = "0.2.0"
PROTOCOL = 1
OLDEST_PROTOCOL = 1


def require_compatible(node_id: str, version: str, protocol: int) -> None:
    """Raise IncompatibleRelease for a peer whose protocol this release does not speak."""
    if not OLDEST_PROTOCOL <= protocol <= PROTOCOL:
        raise IncompatibleRelease(
            f"{node_id} runs release {version or 'unknown'}, which speaks protocol {protocol};"
            f" this node runs {VERSION}, which speaks {OLDEST_PROTOCOL} to {PROTOCOL}: update all nodes to one release",
            version=VERSION,
            protocol=PROTOCOL,
        )
