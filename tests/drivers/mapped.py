"""The table of errands as SQLAlchemy's users write theirs down."""

from __future__ import annotations

import attrs
import sqlalchemy
from sqlalchemy.orm import registry


def errand_class(table: str) -> type:
    """A class of its own for the table of one test: `worker`, `turn`, `note`."""

    @attrs.define(slots=False, eq=False)
    class Errand:
        worker: int
        turn: int
        note: str | None = None

    mappings = registry()
    columns = sqlalchemy.Table(
        table,
        mappings.metadata,
        sqlalchemy.Column("worker", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("turn", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("note", sqlalchemy.Text),
    )
    mappings.map_imperatively(Errand, columns)
    return Errand


def dialect(url: str, driver: str) -> str:
    """The URL as SQLAlchemy wants it, with its driver's name."""
    return url.replace("postgresql://", f"postgresql+{driver}://", 1)
