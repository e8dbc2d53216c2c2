"""The settings file that `faceline init` writes: every setting with its meaning, made from the tables themselves."""

from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.settings import Settings
from pipeline.settings.mistakes import example, fields, shown, table_of

HEADER = """\
# Settings of Faceline. Every line below that starts with "#" and a setting shows its default (or, where there is none,
# an example): take the "#" away to change it. `faceline check` says what is in force and what is wrong.
"""


def template() -> str:
    """TOML text that, as it stands, means the defaults."""
    return "\n".join((HEADER, *_tables()))


def _tables() -> Iterator[str]:
    for heading, info in fields(Settings).items():
        found = table_of(info)
        if found is not None:
            table, repeated = found
            yield "\n".join(_table(f"#[[{heading}]]" if repeated else f"[{heading}]", table))


def _table(heading: str, table: type[BaseModel]) -> Iterator[str]:
    yield f"# {(table.__doc__ or '').strip()}"
    yield heading
    for name, info in fields(table).items():
        yield f"#{f'{name} = {shown(_value(info))}':<38} # {info.description}"
    yield ""


def _value(info: FieldInfo) -> object:
    default = None if info.is_required() else info.get_default()
    return example(info) if default is None else default
