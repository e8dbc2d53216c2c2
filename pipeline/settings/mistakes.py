"""Every mistake in the settings becomes one line that names the setting, the value and the cure."""

import json
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails


class SettingsError(Exception):
    """The settings cannot be used; one line for each mistake."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The settings of a table under the names that the file uses."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def table_of(info: FieldInfo) -> tuple[type[BaseModel], bool] | None:
    """The table that a field stands for and whether it repeats, or None for a plain setting."""
    candidates = (info.annotation, *get_args(info.annotation))
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate, candidate is not info.annotation
    return None


def mistakes(file: str, root: type[BaseModel], given: dict[str, Any], error: ValidationError) -> list[str]:
    """One line per mistake, in the order in which pydantic found them."""
    return [f"{file}: {_line(root, given, detail)}" for detail in error.errors(include_url=False)]


def _line(root: type[BaseModel], given: dict[str, Any], detail: ErrorDetails) -> str:
    path = detail["loc"]
    top = str(path[0]) if path else ""
    table = table_of(fields(root)[top]) if top in fields(root) else None
    if table is None:
        return f"{_place(top, given)}: {_unknown('table', top, list(fields(root)))}"
    model, repeated = table
    inner = path[2:] if repeated else path[1:]
    where = f"[[{top}]]{_which(given, path)}" if repeated else f"[{top}]"
    if not inner:
        return f"{where}: {_stated(top, repeated, detail)}"
    name = str(inner[0])
    info = fields(model).get(name)
    if info is None:
        return f"{where} {name}: {_unknown('setting', name, list(fields(model)))}"
    return f"{where} {'.'.join(map(str, inner))}: {_wrong(name, info, detail)}"


def _place(top: str, given: dict[str, Any]) -> str:
    return f"[{top}]" if isinstance(given.get(top), dict | list) else top


def _which(given: dict[str, Any], path: tuple[int | str, ...]) -> str:
    if len(path) < 2 or not isinstance(path[1], int):
        return ""
    entries = given.get(str(path[0]))
    entry = entries[path[1]] if isinstance(entries, list) else None
    name = entry.get("name") if isinstance(entry, dict) else None
    return f" {name}" if isinstance(name, str) else f" number {path[1] + 1}"


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    cure = f"did you mean {near[0]}?" if near else f"there is: {', '.join(known)}"
    return f"unknown {what}; {cure}"


def _stated(top: str, repeated: bool, detail: ErrorDetails) -> str:
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    # What stands there is not shown: it may be a whole camera with the password of its address.
    return f"is no table; write its settings under a heading {f'[[{top}]]' if repeated else f'[{top}]'}"


def _wrong(name: str, info: FieldInfo, detail: ErrorDetails) -> str:
    if detail["type"] == "missing":
        return f"is missing; write for example {_example(name, info)}"
    value = "the value (not shown)" if not info.repr else shown(detail["input"])
    if detail["type"] == "value_error":
        return f"{value}: {detail['ctx']['error']}"
    near = [] if not isinstance(detail["input"], str) else get_close_matches(detail["input"], list(_choices(info)), n=1)
    cure = f"did you mean {near[0]!r}?" if near else f"write for example {_example(name, info)}"
    return f"{value} is refused: {_said(detail)}; {cure}"


def _said(detail: ErrorDetails) -> str:
    message = detail["msg"]
    return message[:1].lower() + message[1:]


def _choices(info: FieldInfo) -> Iterator[str]:
    waiting: list[Any] = [info.annotation]
    while waiting:
        candidate = waiting.pop()
        if isinstance(candidate, str):
            yield candidate
        else:
            waiting += get_args(candidate)


def _example(name: str, info: FieldInfo) -> str:
    return f"{name} = {shown(example(info))}"


def example(info: FieldInfo) -> Any:
    """A value that the file may give: the default, or the field's own example where there is none."""
    if info.examples:
        return info.examples[0]
    return info.get_default()


def shown(value: object) -> str:
    """A value as TOML spells it, cut where it is long."""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(shown(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {shown(item)}" for key, item in value.items()) + "}"
    text = json.dumps(str(value), ensure_ascii=False)
    return text if len(text) <= 80 else f'{text[:76]}..."'
