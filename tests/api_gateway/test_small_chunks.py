"""Small chunks in memory: what was kept comes back, within the bound, whatever the order of use."""

from __future__ import annotations

import random

from api_gateway.small_chunks import _OVERHEAD_BYTES, LARGEST_BYTES, SmallChunks


def test_what_was_kept_comes_back_and_nothing_else() -> None:
    chunks = SmallChunks(10_000)
    chunks.keep("a", b"content")
    assert chunks.get("a") == b"content"
    assert chunks.get("b") is None


def test_what_was_used_longest_ago_goes_first() -> None:
    chunks = SmallChunks(2 * (100 + _OVERHEAD_BYTES))
    chunks.keep("a", bytes(100))
    chunks.keep("b", bytes(100))
    chunks.get("a")
    chunks.keep("c", bytes(100))
    assert [name for name in "abc" if chunks.get(name) is not None] == ["a", "c"]


def test_what_is_too_large_is_not_kept() -> None:
    chunks = SmallChunks(10 * LARGEST_BYTES)
    chunks.keep("a", bytes(LARGEST_BYTES + 1))
    assert chunks.get("a") is None
    nothing = SmallChunks(0)
    nothing.keep("a", b"")
    assert nothing.get("a") is None


def test_the_bound_holds_whatever_is_kept() -> None:
    rng = random.Random(5)
    chunks, capacity = SmallChunks(200_000), 200_000
    for _ in range(2000):
        name = f"{rng.randrange(50)}"
        if rng.random() < 0.5:
            chunks.keep(name, name.encode() * rng.randrange(10_000))
        elif (content := chunks.get(name)) is not None:
            assert content.replace(name.encode(), b"") == b""
        held = sum(len(content) + _OVERHEAD_BYTES for content in chunks._chunks.values())
        assert held == chunks._used_bytes <= capacity
