"""Tests of the release: checks, gate, registry."""
