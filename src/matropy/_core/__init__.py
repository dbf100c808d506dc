"""Floor 0: what every room stands on. Private: import from the modules inside."""
