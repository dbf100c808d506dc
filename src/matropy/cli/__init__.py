"""The command line: ``matropy evaluate | compare | study | list``."""

from matropy.cli._main import main as main
