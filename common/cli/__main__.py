"""`python3 -m common.cli`, and the script `dfs`: run one command and end with its exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import BinaryIO, TextIO

from common.cli.arguments import parse
from common.cli.console import Console
from common.cli.context import Context
from common.cli.credentials import find_access
from common.cli.failures import FAILED, INTERRUPTED, OUTPUT_CLOSED, Failure, local_failure
from common.cli.gateway import Gateway
from common.cli.unfinished import uploads_folder
from common.clock import Clock, SystemClock
from common.environment import client_environment


def main(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    out: TextIO,
    err: TextIO,
    answers: TextIO,
    binary_in: BinaryIO,
    binary_out: BinaryIO,
    clock: Clock,
) -> int:
    """Run one command on these streams; returns the exit status. SystemExit where the command line is wrong."""
    options = parse(arguments)
    console = Console(out, err, clock, is_json=options.json, is_quiet=options.quiet)
    try:
        gateway = Gateway(find_access(options.url, options.key, options.ca, environment), clock)
        context = Context(gateway, console, clock, answers, binary_in, binary_out, uploads_folder(environment))
        try:
            status: int = options.run(context, options)
            console.flush()
            binary_out.flush()
        finally:
            context.stop.set()
            gateway.close()
    except KeyboardInterrupt:
        console.note("interrupted" + (f": {console.how_to_go_on}" if console.how_to_go_on else ""))
        return INTERRUPTED
    except Failure as failure:
        console.fail(options.command, failure)
        return failure.exit_status
    except BrokenPipeError:
        return OUTPUT_CLOSED
    except OSError as error:
        console.fail(options.command, local_failure(error))
        return FAILED
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # Answers are taken apart as they are shown; what lacks a field is no answer of this gateway.
        console.note(f"{options.command}: the gateway's answer is not understood: {error!r}")
        return FAILED
    return status


def run() -> None:
    """Run the command of this process, and end it."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown escaped; it must not end the command.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        status = main(
            sys.argv[1:],
            client_environment(),
            sys.stdout,
            sys.stderr,
            sys.stdin,
            sys.stdin.buffer,
            sys.stdout.buffer,
            SystemClock(),
        )
        sys.stderr.flush()
    except KeyboardInterrupt:
        status = INTERRUPTED
    # Threads that wait for the network are not waited for; a file is published or not, and nothing is left to do.
    os._exit(status)


if __name__ == "__main__":
    run()
