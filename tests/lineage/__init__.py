"""Tests of the lineage: events, the thread, its picture and where events go."""
