"""Tests of the DAG files: what they promise, and what a run of them comes to."""
