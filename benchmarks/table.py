"""The report as Markdown, which reads well in a terminal and can be put into a document as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.figures import Figure
from benchmarks.limits import MEASURED


def render(document: Mapping[str, Any], catalogue: Mapping[str, Figure]) -> str:
    """The text of the whole report, from what report.to_json made."""
    parts = [
        _bullets({**document["machine"], **document["settings"]}),
        "## Limits of the machine\n\n" + _limits(document["limits"]),
        *(f"## {name}\n\n{_system(name, document, catalogue)}" for name in document["systems"]),
        "## Derivations\n\n" + _derivations(document),
    ]
    if document["against_peer"]:
        parts.append("## Against the peer\n\n" + _against_peer(document, catalogue))
    return "\n\n".join(part for part in parts if part) + "\n"


def number(value: float) -> str:
    """Three figures that mean something: 1,234, 56.7, 0.123."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _limits(limits: Mapping[str, Any]) -> str:
    rows = [[key, MEASURED[key][0], number(e["median"]), _range(e), e["unit"]] for key, e in limits.items()]
    return _table(["name", "what", "median", "range", "unit"], rows)


def _system(name: str, document: Mapping[str, Any], catalogue: Mapping[str, Figure]) -> str:
    system = document["systems"][name]
    rows = [_row(system["figures"][key]) for key in catalogue if key in system["figures"]]
    notes = "".join(f"* {note}\n" for note in system["notes"])
    ratios = {title: number(value) for title, value in document["ratios"].get(name, {}).items()}
    peaks = {f"peak memory of {service}": f"{b / 1e6:.0f} MB" for service, b in system["peak_memory_bytes"].items()}
    table = _table(["figure", "median", "range", "unit", "limit", "ratio"], rows)
    return f"{notes}\n{table}\n\n{_bullets({**ratios, **peaks})}"


def _row(entry: Mapping[str, Any]) -> list[str]:
    limit, ratio = (number(entry["limit"]), number(entry["ratio"])) if "limit" in entry else ("", "")
    return [entry["title"], number(entry["median"]), _range(entry), entry["unit"], limit, ratio]


def _derivations(document: Mapping[str, Any]) -> str:
    titles: dict[str, list[str]] = {}
    for system in document["systems"].values():
        for entry in system["figures"].values():
            if "derivation" in entry and entry["title"] not in titles.setdefault(entry["derivation"], []):
                titles[entry["derivation"]].append(entry["title"])
    return "".join(f"* {'; '.join(names)}: `{formula}`\n" for formula, names in titles.items()).rstrip()


def _against_peer(document: Mapping[str, Any], catalogue: Mapping[str, Figure]) -> str:
    ours, peer = list(document["systems"].values())[:2]
    rows = []
    for key, figure in catalogue.items():
        if figure.is_higher_better is None or key not in document["against_peer"]:
            continue
        pair = [number(side["figures"][key]["median"]) for side in (ours, peer)]
        better = "higher" if figure.is_higher_better else "lower"
        rows.append([figure.title, *pair, figure.unit, f"{number(document['against_peer'][key])} x", better])
    return _table(["figure", *list(document["systems"])[:2], "unit", "ours / peer's", "better is"], rows)


def _range(entry: Mapping[str, Any]) -> str:
    return f"{number(entry['min'])} - {number(entry['max'])}"


def _bullets(entries: Mapping[str, object]) -> str:
    return "\n".join(f"* {name}: {value}" for name, value in entries.items())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns are padded, so that the source is as readable as the page."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([text[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *text[1:]])
