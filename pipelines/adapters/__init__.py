"""The outside world behind the ports; only `wiring` imports from here."""
