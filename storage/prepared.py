"""Statements that are built and compiled once, for what is done with every batch of instances.

SQLAlchemy looks a statement up anew each time it runs, and treats its values one by one by name:
for a small batch that costs more than the database does. The columns' types say how values are
written and read here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from storage.database import Transaction

Statement = sa.Select[Any] | sa.Insert | sa.Update
Treatment = Callable[[Any], Any] | None
"""Of one value; None where it stays as it is."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement as one kind of database takes it."""

    text: str
    names: tuple[str, ...]
    """Of the parameters; where they go by position, in that order."""
    by_name: bool
    treated: tuple[tuple[str, Callable[[Any], Any]], ...]
    """The parameters that are written in another form."""
    found: tuple[Treatment, ...]
    """The columns of a row that it gives."""

    def parameters(self, rows: Iterable[Mapping[str, Any]]) -> list[Any]:
        """Of each row."""
        changed = []
        for row in rows:
            values = dict(row)
            for name, treat in self.treated:
                values[name] = treat(values[name])
            changed.append(values)
        if self.by_name:
            return [{name: values[name] for name in self.names} for values in changed]
        if len(self.names) == 1:
            return [(values[self.names[0]],) for values in changed]
        return list(map(itemgetter(*self.names), changed))

    def row(self, row: Sequence[Any]) -> tuple[Any, ...]:
        pairs = zip(self.found, row, strict=True)
        return tuple(value if one is None else one(value) for one, value in pairs)


class Prepared:
    """One statement with named parameters. Errors are those of ``Transaction.execute``."""

    def __init__(self, build: Callable[[str], Statement], *names: str) -> None:
        """``build`` gets the name of the dialect. ``names``: the columns that an insert fills."""
        self._build, self._names = build, names
        self._compiled: dict[str, _Compiled] = {}

    def run(self, tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it once for each of these rows of values."""
        if rows:
            compiled = self._for(tx)
            tx.exec_driver_sql(compiled.text, compiled.parameters(rows))

    def rows(self, tx: Transaction, **values: Any) -> list[tuple[Any, ...]]:
        """What it selects."""
        compiled = self._for(tx)
        found = tx.exec_driver_sql(compiled.text, compiled.parameters([values])[0])
        return [compiled.row(one) for one in found]

    def _for(self, tx: Transaction) -> _Compiled:
        known = self._compiled.get(tx.dialect.name)
        if known is None:
            known = _compile(self._build(tx.dialect.name), tx.dialect, self._names)
            self._compiled[tx.dialect.name] = known
        return known


def _compile(statement: Statement, dialect: Dialect, filled: tuple[str, ...]) -> _Compiled:
    made = statement.compile(dialect=dialect, column_keys=filled or None)
    names = tuple(made.positiontup or ()) if made.positional else tuple(made.binds)
    columns = statement.selected_columns if isinstance(statement, sa.Select) else ()
    kinds = ((name, _writing(made.binds[name].type, dialect)) for name in names)
    return _Compiled(
        text=str(made),
        names=names,
        by_name=not made.positional,
        treated=tuple((name, treat) for name, treat in kinds if treat is not None),
        found=tuple(_reading(one.type, dialect) for one in columns),
    )


def _writing(kind: sa.types.TypeEngine[Any], dialect: Dialect) -> Treatment:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _reading(kind: sa.types.TypeEngine[Any], dialect: Dialect) -> Treatment:
    return kind.dialect_impl(dialect).result_processor(dialect, None)
