"""Documents written from records: what is unknown is MISSING, a figure names its record."""
