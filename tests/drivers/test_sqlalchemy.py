"""SQLAlchemy with psycopg and psycopg2: its own pool, ORM sessions, server-side cursors."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tests.drivers.mapped import dialect, errand_class

pytestmark = pytest.mark.drivers

WORKERS = 6
TURNS = 8  # more than psycopg's default prepare_threshold of five

MakeEngine = Callable[..., sqlalchemy.Engine]


@pytest.fixture(params=["psycopg", "psycopg2"])
def engine_with(request: pytest.FixtureRequest, url: str) -> Iterator[MakeEngine]:
    """Engines with SQLAlchemy's defaults, its QueuePool of five and ten more included."""
    made: list[sqlalchemy.Engine] = []

    def make(**options: object) -> sqlalchemy.Engine:
        made.append(create_engine(dialect(url, request.param), **options))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


def test_sessions_commit_roll_back_and_return_to_savepoints(
    engine_with: MakeEngine, errands: str, crowd, rows_of
) -> None:
    engine, errand_of = engine_with(), errand_class(errands)

    def errand(worker: int, turn: int) -> None:
        with Session(engine) as session, session.begin():
            session.add(errand_of(worker, turn, "new"))
            session.flush()
            with pytest.raises(IntegrityError), session.begin_nested():
                session.execute(
                    sqlalchemy.insert(errand_of).values(worker=worker, turn=turn, note="twice")
                )
            found = session.get_one(errand_of, (worker, turn), with_for_update=True)
            found.note = f"{worker}.{turn}"
        with Session(engine) as session:
            mine = select(errand_of.note).where(errand_of.worker == worker).order_by("turn")
            assert session.scalars(mine).all() == [f"{worker}.{n}" for n in range(turn + 1)]
            session.add(errand_of(worker, turn + 100))
            session.flush()
            session.rollback()

    crowd(WORKERS, TURNS, errand)

    assert rows_of(errands) == [(w, t, f"{w}.{t}") for w in range(WORKERS) for t in range(TURNS)]


def test_rows_come_in_pieces_by_server_side_cursors(
    engine_with: MakeEngine, errands: str, crowd
) -> None:
    engine, errand_of = engine_with(), errand_class(errands)
    with Session(engine) as session, session.begin():
        session.add_all([errand_of(worker, n) for worker in range(WORKERS) for n in range(100)])

    def errand(worker: int, turn: int) -> None:
        mine = select(errand_of).where(errand_of.worker == worker).order_by("turn")
        with Session(engine) as session:
            parts = session.scalars(mine.execution_options(yield_per=30)).partitions()
            found = next(parts)
            # The cursor is there; that which asks this question has no name.
            assert session.scalar(text("select count(*) from pg_cursors where name <> ''")) == 1
            for part in parts:
                found += part
            assert [one.turn for one in found] == list(range(100))

    crowd(WORKERS, 4, errand)


def test_many_rows_are_inserted_at_once_and_their_values_returned(
    engine_with: MakeEngine, errands: str, crowd
) -> None:
    engine, errand_of = engine_with(), errand_class(errands)

    def errand(worker: int, turn: int) -> None:
        rows = [{"worker": worker, "turn": turn * 1000 + n, "note": "x"} for n in range(300)]
        insert = sqlalchemy.insert(errand_of).returning(
            errand_of.turn, sort_by_parameter_order=True
        )
        with Session(engine) as session, session.begin():
            assert session.scalars(insert, rows).all() == [row["turn"] for row in rows]

    crowd(WORKERS, 2, errand)

    with Session(engine_with()) as session:
        assert session.scalar(select(func.count()).select_from(errand_of)) == WORKERS * 2 * 300


def test_isolation_levels_are_those_of_each_engine(engine_with: MakeEngine, crowd) -> None:
    levels = ["SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"]
    engines = [engine_with(isolation_level=level) for level in levels]

    def errand(worker: int, turn: int) -> None:
        # Every other time another one than its engine's.
        level = levels[(worker + turn % 2) % 3]
        with engines[worker % 3].connect() as client:
            if turn % 2:
                client = client.execution_options(isolation_level=level)
            assert client.scalar(text("show transaction_isolation")) == level.lower()

    crowd(WORKERS, 4, errand)


def test_a_ping_in_front_of_each_use_finds_connections_that_were_lost(
    engine_with: MakeEngine, errands: str, crowd
) -> None:
    engine = engine_with(pool_pre_ping=True, connect_args={"application_name": errands})
    # Why a time: the function returns when the other process has gone. It says no of one that has
    # left by itself meanwhile, as those do that are too many for the engine's own pool.
    others = text(
        "select count(pg_terminate_backend(pid, 30000)) from pg_stat_activity"
        f" where application_name = '{errands}' and pid <> pg_backend_pid()"
    )

    def errand(worker: int, turn: int) -> None:
        with engine.connect() as client:
            assert client.scalar(text("select :n + 1"), {"n": turn}) == turn + 1

    crowd(WORKERS, 2, errand)
    with engine.connect() as killer:
        assert killer.scalar(others) is not None
    crowd(WORKERS, 2, errand)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def test_tables_and_types_are_made_reflected_and_dropped(
    engine_with: MakeEngine, errands: str
) -> None:
    engine, metadata = engine_with(), sqlalchemy.MetaData()
    made = sqlalchemy.Table(
        f"{errands}_colours",
        metadata,
        sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("colour", sqlalchemy.Enum(Colour, name=f"{errands}_colour")),
        sqlalchemy.Column("tags", sqlalchemy.dialects.postgresql.JSONB),
    )
    for _ in range(2):
        metadata.create_all(engine)
        with engine.begin() as client:
            client.execute(made.insert(), [{"colour": Colour.BLUE, "tags": {"a": [1]}}])
            assert client.execute(select(made)).all() == [(1, Colour.BLUE, {"a": [1]})]
        seen = sqlalchemy.Table(made.name, sqlalchemy.MetaData(), autoload_with=engine)
        assert seen.columns.keys() == ["id", "colour", "tags"]
        metadata.drop_all(engine)
        assert not sqlalchemy.inspect(engine).has_table(made.name)
