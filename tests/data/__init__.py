"""Tests of the data steps."""
