"""Tests of the server loop, which mirror common/server/."""
