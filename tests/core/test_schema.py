"""JSON Schemas made from the types that are saved."""

from dataclasses import dataclass

import jsonschema
import pytest

from matropy._core._files import to_json
from matropy._core._schema import json_schema


@dataclass
class Saved:
    """A docstring that is for people."""

    name: str
    values: list[float | None]
    size: int | None = None


def test_saved_values_satisfy_it():
    import json

    schema = json_schema(Saved)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(to_json(Saved("x", [1.0, float("nan")]))), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": 3, "values": []}, schema)


def test_docstrings_are_not_in_it():
    assert "for people" not in str(json_schema(Saved))
