"""Resumable uploads, tus 1.0.0: what a request asks for, and how its bytes become chunks. Knows no Flask."""
