"""Write a host's `.env` with secrets from the SSM parameter store, which are shown nowhere.

`python3 -m deploy.aws.write_secrets TARGET START NAME=PARAMETER...`: the lines of the file START, then `NAME=` with the
value of each PARAMETER. Runs before a host's services, with the system's Python and its boto3.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import boto3


def main(arguments: Sequence[str]) -> int:
    target, start, *parameters = arguments
    lines = Path(start).read_text(encoding="utf-8").splitlines()
    store = boto3.client("ssm")
    for name, _, parameter in (text.partition("=") for text in parameters):
        value = store.get_parameter(Name=parameter, WithDecryption=True)["Parameter"]["Value"]
        # Quotes keep '#' and spaces of a value; a quote inside would end them.
        if any(character in value for character in "'\\\n"):
            print(f"{parameter}: must hold no quote, backslash or line break", file=sys.stderr)
            return 1
        lines.append(f"{name}='{value}'")
    write_private(Path(target), "\n".join(lines) + "\n")
    return 0


def write_private(path: Path, text: str) -> None:
    """Replace the file by one that only its owner can read."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(fresh, path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
