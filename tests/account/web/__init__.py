"""Tests of the record's pages."""
