"""The JSON Schema of ``study.json``, made from the types.

``python -m matropy.studies._schema`` writes it into the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matropy._core import _schema
from matropy._core._files import to_json, write_atomic
from matropy.studies._result import StudyResult

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """Schema of a saved :class:`StudyResult`; a cell of a table is a plain value, or a link as an object."""
    return _schema.json_schema(
        StudyResult, hook=lambda cell: {"type": ["string", "number", "boolean", "null", "object"]}
    )


if __name__ == "__main__":
    write_atomic(Path(__file__).with_name("study.schema.json"), to_json(json_schema()))
