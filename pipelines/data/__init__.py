"""From landed files to stored splits: ingest, validate, snapshot, split."""
