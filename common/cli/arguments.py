"""The command line itself: every command with its options, and which function does it."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from typing import Any

from common.cli import changes, cluster, fsck, get, keys, listing, put
from common.cli.credentials import DEFAULT_URL
from common.cli.failures import describe_statuses

_DESCRIPTION = """A client of the Distributed File System.

A path in the cluster is written without a slash at its beginning: docs/report.pdf. A folder may be written with or
without a slash at its end; / alone is everything."""
_EPILOG = f"""The key comes from --key, else DFS_KEY, else the file ~/.config/dfs/key (mode 0600). On a command line it
can be seen by everybody on this machine who runs ps, and it stays in the shell's history: prefer the file.

exit status:
{describe_statuses()}

docs/cli.md has examples."""


def parse(arguments: Sequence[str]) -> Namespace:
    """Read the command line; ends the process with status 2 where it is wrong."""
    options = _make_parser().parse_args(arguments)
    for name, default in (("url", None), ("key", None), ("ca", None), ("json", False), ("quiet", False)):
        if not hasattr(options, name):
            setattr(options, name, default)
    return options


def _make_parser() -> ArgumentParser:
    shared = _shared_options()
    parser = ArgumentParser(
        prog="dfs",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        parents=[shared],
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="command")

    def add(name: str, run: Callable[..., int], text: str, to: Any = commands) -> ArgumentParser:
        command: ArgumentParser = to.add_parser(name, help=text, description=text, parents=[shared])
        command.set_defaults(run=run)
        return command

    def group(name: str, text: str) -> Any:
        return commands.add_parser(name, help=text, description=text).add_subparsers(metavar="COMMAND", required=True)

    _add_transfers(add)
    _add_listings(add)
    _add_changes(add, group("trash", "what was deleted and can be restored"))
    _add_cluster(add)
    _add_keys(add, group("keys", "who may do what"))
    return parser


def _shared_options() -> ArgumentParser:
    """Those that may stand before and behind the command."""
    shared = ArgumentParser(add_help=False, argument_default=SUPPRESS)
    shared.add_argument("--url", help=f"the gateway; else DFS_URL, else {DEFAULT_URL}")
    shared.add_argument("--key", help="the API key, visible to all in ps; else DFS_KEY, else ~/.config/dfs/key")
    shared.add_argument("--ca", metavar="FILE", help="the certificates to trust; else DFS_CA, else the system's")
    shared.add_argument("--json", action="store_true", help="JSON lines on standard output, and nothing else there")
    shared.add_argument("--quiet", action="store_true", help="no progress bar")
    return shared


def _add_transfers(add: Callable[..., ArgumentParser]) -> None:
    one = add(
        "put",
        put.put,
        "store local files; PATH is the new path, or with / at its end the folder",
    )
    one.add_argument("sources", nargs="+", metavar="LOCAL", help="a file, several, a folder with -r, or - for input")
    one.add_argument("target", metavar="PATH")
    one.add_argument("-r", "--recursive", action="store_true", help="store what is below LOCAL below PATH")
    one.add_argument("--if-absent", action="store_true", help="only where no file has the path")
    one.add_argument("--skip-same", action="store_true", help="pass over what is stored with the same content")
    one.add_argument("--replication", type=_positive, metavar="N", help="how many replicas of each chunk")
    one.add_argument("--consistency", choices=("one", "quorum", "all"), help="how many on disk before the answer")
    one.add_argument("--content-type", metavar="TYPE", help="else it is guessed from the name")
    one.add_argument("--parallel", type=_parallel, default=4, metavar="N", help="files at once (default: 4)")
    one.add_argument("--piece-mib", type=_positive, default=32, metavar="N", help="MiB in one request (default: 32)")

    one = add("get", get.get, "fetch a file; an interrupted fetch goes on where it was")
    one.add_argument("source", metavar="PATH")
    one.add_argument(
        "target", nargs="?", metavar="LOCAL", help="a name, a folder, or - for output; default: PATH's name"
    )
    one.add_argument("-r", "--recursive", action="store_true", help="fetch what is below PATH to below LOCAL")
    one.add_argument("--parallel", type=_parallel, default=4, metavar="N", help="requests at once (default: 4)")
    one.add_argument("--piece-mib", type=_positive, default=8, metavar="N", help="MiB in one request (default: 8)")

    one = add("cat", get.cat, "write files to standard output")
    one.add_argument("sources", nargs="+", metavar="PATH")


def _add_listings(add: Callable[..., ArgumentParser]) -> None:
    one = add("ls", listing.ls, "list a folder")
    one.add_argument("path", nargs="?", default="/", metavar="PATH")
    one.add_argument("-l", "--long", action="store_true", help="with size and time")
    one.add_argument("-R", "--recursive", action="store_true", help="everything below")
    one.add_argument("-H", "--human", action="store_true", help="sizes in KiB, MiB, ...")

    one = add("du", listing.du, "how many bytes and files there are in each folder")
    one.add_argument("path", nargs="?", default="/", metavar="PATH")
    one.add_argument("-s", "--summarize", action="store_true", help="only the sum of all")
    one.add_argument("-d", "--depth", type=_positive, metavar="N", help="folders of so many levels only")
    one.add_argument("-H", "--human", action="store_true", help="sizes in KiB, MiB, ...")

    one = add("stat", listing.stat, "everything that is known of a file")
    one.add_argument("paths", nargs="+", metavar="PATH")
    one.add_argument("--checksum", action="store_true", help="where there is none, have the file read to make it")


def _add_changes(add: Callable[..., ArgumentParser], trash: Any) -> None:
    one = add("rm", changes.rm, "delete files, into the trash")
    one.add_argument("paths", nargs="+", metavar="PATH")
    one.add_argument("-r", "--recursive", action="store_true", help="everything below PATH; asks first")
    one.add_argument("-y", "--yes", action="store_true", help="do not ask")
    one.add_argument("--permanent", action="store_true", help="free at once, past the trash")

    one = add("mv", changes.mv, "rename a file")
    one.add_argument("source", metavar="PATH")
    one.add_argument("target", metavar="NEW", help="the new path, or with / at its end the folder")
    one.add_argument("-r", "--recursive", action="store_true", help="everything below PATH, file by file")

    one = add("list", changes.trash_list, "what can be restored", trash)
    one.add_argument("prefix", nargs="?", default="", metavar="PREFIX", help="only paths that begin so")
    one = add("restore", changes.trash_restore, "bring a file back, or an old version", trash)
    one.add_argument("path", nargs="?", metavar="PATH")
    one.add_argument("--id", metavar="FILE_ID", help="where several files of one path are in the trash")
    one.add_argument("--to", metavar="PATH", help="under another path")
    one.add_argument("--version", type=_positive, metavar="N", help="this old version of a file that is there")


def _add_cluster(add: Callable[..., ArgumentParser]) -> None:
    add("report", cluster.report, "the state of the cluster; exit status 1 when something needs attention")
    add("jobs", cluster.jobs, "what the background jobs are doing")
    one = add("fsck", fsck.fsck, "compare all records with all disks; exit status 1 when something differs")
    one.add_argument("--verify", action="store_true", help="also read every replica again, which takes long")
    one = add("drain", cluster.drain, "empty a worker before it is taken away")
    one.add_argument("worker_id", metavar="WORKER")
    one.add_argument("--wait", action="store_true", help="until it is empty")
    one = add("undrain", cluster.undrain, "take a worker back")
    one.add_argument("worker_id", metavar="WORKER")


def _add_keys(add: Callable[..., ArgumentParser], group: Any) -> None:
    one = add("make", keys.make, "make a key and show it, this once", group)
    one.add_argument("name", metavar="NAME", help="whose it is, for people")
    one.add_argument("--rights", type=_rights, default=["read"], help="read,write,delete,admin; default: read")
    one.add_argument("--prefix", default="", help="only paths that begin so")
    add("list", keys.list_keys, "all keys, without their texts", group)
    one = add("revoke", keys.revoke, "make a key useless", group)
    one.add_argument("key_id", metavar="KEY_ID")

    one = add("link", keys.link, "an address that works without a key for a while")
    one.add_argument("path", metavar="PATH")
    one.add_argument("--method", choices=("GET", "PUT"), default="GET")
    one.add_argument("--seconds", type=_positive, default=3600, metavar="N", help="how long (default: 3600)")


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**31):
        raise ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _parallel(text: str) -> int:
    number = _positive(text)
    if number > 16:
        raise ArgumentTypeError("16 at once are the most")
    return number


def _rights(text: str) -> list[str]:
    rights = [right for right in text.split(",") if right]
    unknown = sorted(set(rights) - set(keys.RIGHTS))
    if unknown or not rights:
        raise ArgumentTypeError(f"rights are {', '.join(keys.RIGHTS)}, with commas between")
    return rights
