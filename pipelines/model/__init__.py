"""From splits to a measured candidate: train, evaluate."""
