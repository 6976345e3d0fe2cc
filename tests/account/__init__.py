"""Tests of answering for decisions."""
