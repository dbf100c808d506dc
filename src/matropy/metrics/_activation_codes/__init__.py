"""Neural activation codes: which units are on, one bit a unit, one code an example."""
