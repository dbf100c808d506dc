"""The JSON Schema of ``provenance.json``, made from the types.

``python -m matropy.cli._provenance_schema`` writes it into the package.
"""

from __future__ import annotations

from pathlib import Path

from matropy._core._files import to_json, write_atomic
from matropy._core._schema import json_schema
from matropy.cli._provenance_result import Provenance

__all__ = ["SCHEMA_FILE"]

SCHEMA_FILE = Path(__file__).with_name("provenance.schema.json")

if __name__ == "__main__":
    write_atomic(SCHEMA_FILE, to_json(json_schema(Provenance)))
