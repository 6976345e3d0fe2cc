"""A run is a git commit: each step works in the run's own worktree and leaves one commit."""

from pipelines.runs.run import Result, begin, finish, ingest, opened, step

__all__ = ["Result", "begin", "finish", "ingest", "opened", "step"]
