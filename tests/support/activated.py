"""Run a command with listening sockets as systemd gives them: `python activated.py 7,8 command ...`.

Descriptors 7 and 8 become 3 and 4, and the variables name this very process, which the command takes the place of.
"""

from __future__ import annotations

import os
import sys


def main(descriptors: str, command: list[str]) -> None:
    # Out of the way first: one of them may be 3 itself.
    taken = [os.dup(int(number)) for number in descriptors.split(",")]
    high = [os.dup2(number, 100 + place) for place, number in enumerate(taken)]
    for place, number in enumerate(high):
        os.dup2(number, 3 + place)
    os.closerange(3 + len(high), 110)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
