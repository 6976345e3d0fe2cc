"""The tamper-evident log of decisions."""
