"""JSON Schemas made from the types that are saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["json_schema"]


def json_schema(saved: type, *, hook: Callable[[type], dict[str, Any]] | None = None) -> dict[str, Any]:
    """Schema (JSON Schema 2020-12) of the JSON that an instance of ``saved`` becomes, without its docstrings."""
    schema = _without_docstrings(msgspec.json.schema(saved, schema_hook=hook))
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))
    return plain


def _without_docstrings(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_docstrings(value) for key, value in schema.items() if key != "description"}
    return [_without_docstrings(item) for item in schema] if isinstance(schema, list) else schema
