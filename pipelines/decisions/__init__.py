"""Decide: admit one application, score it, say why."""
