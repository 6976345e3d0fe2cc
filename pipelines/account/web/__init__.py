"""The record as web pages, and the same answers as JSON: for case workers, auditors, lawyers."""
