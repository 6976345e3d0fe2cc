"""The command line. stdout is the result, everything else goes to stderr."""

from pipelines.cli.main import main

__all__ = ["main"]
