"""The command line: ``matropy evaluate | study | list``."""

from matropy.cli._main import main as main
