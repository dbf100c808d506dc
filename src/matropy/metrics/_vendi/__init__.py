"""The Vendi score, in parts; the names are in :mod:`matropy.metrics`."""
