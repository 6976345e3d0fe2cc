"""The watch: drift, bounds, bias and outcomes over the recorded decisions, window by window."""
