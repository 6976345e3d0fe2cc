"""The checks a candidate must pass: one file a check, found by its file name."""
