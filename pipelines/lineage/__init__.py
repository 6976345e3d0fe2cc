"""Lineage in the open standard OpenLineage: what each step read, wrote and was, and the thread."""

from pipelines.lineage.events import Watched, cached, observed

__all__ = ["Watched", "cached", "observed"]
