"""The JSON Schema of ``study.json``, made from the types.

``python -m matropy.studies._schema`` writes it into the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from matropy._core._files import to_json, write_atomic
from matropy.studies._result import StudyResult

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """Schema of a saved :class:`StudyResult`, JSON Schema 2020-12."""
    schema = msgspec.json.schema(StudyResult, schema_hook=_schema_of_cell)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_without_docstrings(schema)}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))
    return plain


def _schema_of_cell(cell: type) -> dict[str, Any]:
    """A cell of a table is text, a number, a truth value, null, or a link as an object."""
    return {"type": ["string", "number", "boolean", "null", "object"]}


def _without_docstrings(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_docstrings(value) for key, value in schema.items() if key != "description"}
    return [_without_docstrings(item) for item in schema] if isinstance(schema, list) else schema


if __name__ == "__main__":
    write_atomic(Path(__file__).with_name("study.schema.json"), to_json(json_schema()))
