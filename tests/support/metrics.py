"""Metrics as text, read back."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families


def samples_of(text: bytes) -> dict[str, float]:
    """Every sample by its name and labels, the labels in the order of their names: `name{a="1",b="2"}`."""
    return {
        _key(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def names_of(text: bytes) -> set[str]:
    """The names under which a query finds the metrics, those without a sample yet included."""
    names = set()
    for family in text_string_to_metric_families(text.decode()):
        ends = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}.get(family.type, ("",))
        names |= {family.name + end for end in ends}
    return names


def _key(name: str, labels: dict[str, str]) -> str:
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name
