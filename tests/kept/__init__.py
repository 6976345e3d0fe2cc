"""What Clew keeps for years, as it is written today: an example of every kind, one file a kind."""
