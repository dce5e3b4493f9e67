"""A process environment without any setting of the system, so that the developer's own has no say in a test."""

from __future__ import annotations

import os

import pytest

from common.environment import SETTING_PREFIXES

SECRET = "a-secret-of-the-tests-0123456789"


def clear_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset every variable that the configuration reads."""
    for name in list(os.environ):
        if name.startswith(SETTING_PREFIXES) and not name.startswith("DFS_TEST_"):
            monkeypatch.delenv(name)
