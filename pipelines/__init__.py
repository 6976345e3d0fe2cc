"""Clew: retrain, block, decide, record, watch and answer for models that decide about people."""
