"""Tests of the documents written from records."""
