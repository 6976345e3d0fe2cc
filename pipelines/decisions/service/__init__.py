"""The decision service: HTTP in, recorded decisions out."""
