"""The JSON Schema of ``comparison.json``, made from the types.

``python -m matropy.evaluation._comparison_schema`` writes it into the package.
"""

from __future__ import annotations

from pathlib import Path

from matropy._core._files import to_json, write_atomic
from matropy._core._schema import json_schema
from matropy.evaluation._comparison import Comparison

__all__ = ["SCHEMA_FILE"]

SCHEMA_FILE = Path(__file__).with_name("comparison.schema.json")

if __name__ == "__main__":
    write_atomic(SCHEMA_FILE, to_json(json_schema(Comparison)))
