"""LISTEN: clients hear everything once and in order, and hold no backend meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import psycopg
import pytest

from protocol import frontend
from tests.conftest import StartPool
from tests.support.pooler import RunningPool, client_of
from tests.support.raw import RawClient
from trio_pool.conform.replies import CLOSED, Reply, field, letters
from trio_pool.conform.words import SYNC, once
from trio_pool.console.tables import TABLES
from trio_pool.ear import Ear
from trio_pool.embedded import LocalServer
from trio_pool.errors import NotificationsUnread
from trio_pool.pinned import pinned

# A watchdog, not a measurement.
PATIENCE_SECONDS = 60.0
KILL_THE_EAR = (
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where application_name = 'trio-pool ear'"
)


def query(text: str) -> bytes:
    return frontend.query(text.encode())


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came to pass"


def ears(running: RunningPool) -> list[Ear]:
    pools = list(running.serving.server.pools.values())
    return [pool.ear for pool in pools if pool.ear is not None]


def shown(running: RunningPool, table: str) -> list[dict[str, object]]:
    """A table of the console, rows by column."""

    async def rows() -> list[tuple[object, ...]]:
        return running.serving.server.operations.show(table).rows

    columns = [column.name.decode() for column in TABLES[table]]
    return [dict(zip(columns, row, strict=True)) for row in running.serving.run(rows)]


def is_away(running: RunningPool, client: RawClient) -> bool:
    return running.serving.server.sessions[client.pid].backend is None


def leaves(running: RunningPool, *clients: RawClient) -> None:
    """Wait until these hold no backend."""
    until(lambda: all(is_away(running, client) for client in clients))


def heard(replies: list[Reply]) -> list[tuple[object, ...]]:
    return [reply[1:] for reply in replies if reply[0] == "A"]


def channels(client: RawClient) -> list[str | None]:
    return sorted(row[0] or "" for row in client.rows("select pg_listening_channels()"))


def silent_until(client: RawClient, other: RawClient) -> list[tuple[object, ...]]:
    """What a client hears up to a last word on a channel that it certainly listens to."""
    other.ask(query("notify last, 'word'"))
    found: list[tuple[object, ...]] = []
    while not found or found[-1] != ("last", "word"):
        found += heard(client.receive("A"))
    return found[:-1]


@pytest.mark.hard_case(130)
def test_who_listens_and_is_idle_hears_and_holds_no_backend(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as listener, client_of(running) as other:
        listener.ask(query("listen news"))
        leaves(running, listener)
        other.ask(query("begin"))
        assert listener.receive_until_quiet(0.01) == []
        other.ask(query("notify news, 'first'; notify sport; notify news, 'second'; commit"))

        assert heard(listener.receive("AA")) == [("news", "first"), ("news", "second")]
        assert running.serving.server.operations.show("CHANNELS").rows == [
            ("postgres", "postgres", "news", 1, ears(running)[0].link.backend.number)
        ]
        assert pinned(list(running.serving.server.sessions.values())) == []
        listener.say_goodbye()
        until(lambda: not ears(running))
        assert channels(other) == []


def test_the_connection_that_listens_is_not_counted_as_lent(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as listener, client_of(running) as other:
        listener.ask(query("listen news"))
        leaves(running, listener)
        for begun, active in (("select 1", 0), ("begin", 1)):
            other.ask(query(begun))

            counted = shown(running, "POOLS")[0]
            assert (counted["sv_active"], counted["sv_tested"]) == (active, 1)
            servers = shown(running, "SERVERS")
            ear = next(row for row in servers if row["application_name"] == "trio-pool ear")
            assert ear["state"] == "tested"


def test_a_listener_sees_its_own_notifications_as_on_a_private_server(pool: StartPool) -> None:
    running = pool(default_pool_size=2)
    with client_of(running) as client:
        client.ask(query("listen news"))
        for _ in range(2):
            assert letters(client.ask(query("notify news, 'x'"))) == "C A Z"
            assert letters(client.ask(query("begin; notify news, 'y'"))) == "C C Z"
            assert letters(client.ask(query("select 1"))) == "T D C Z"
            assert letters(client.ask(query("notify news, 'z'; commit"))) == "C C A A Z"
            assert letters(client.ask(once("notify news, 'x'") + SYNC)) == "1 2 C A Z"
            leaves(running, client)


def test_only_ones_own_notifications_bear_ones_own_number(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    url = running.url()
    with (
        psycopg.connect(url, autocommit=True) as first,
        psycopg.connect(url, autocommit=True) as second,
    ):
        found: dict[str, list[tuple[str, bool]]] = {"first": [], "second": []}
        for name, client in (("first", first), ("second", second)):
            client.execute("listen news")
            client.add_notify_handler(
                lambda note, name=name, own=client.info.backend_pid: found[name].append(
                    (note.payload, note.pid == own)
                )
            )
        expected: list[tuple[str, str]] = []
        for turn in range(6):
            for name, client in (("first", first), ("second", second)):
                client.execute("select pg_notify('news', %s)", [f"{name} {turn}"])
                expected.append((f"{name} {turn}", name))
        for client in (first, second):
            client.execute("select 1")

    for name in ("first", "second"):
        assert found[name] == [(payload, sender == name) for payload, sender in expected]


ENDS = {
    "rolled back": ("begin; listen news; rollback", False),
    "failed": ("listen news; select 1/0", False),
    "rolled back to a savepoint": (
        "begin; savepoint s; listen news; rollback to s; commit",
        False,
    ),
    "kept by a savepoint": ("begin; savepoint s; listen news; release s; commit", True),
    "in code": ("do $$begin execute 'listen news'; end$$", True),
    "taken back": ("listen news; unlisten news", False),
}


@pytest.mark.parametrize(("text", "listens"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("before", [False, True])
def test_listening_begins_when_its_transaction_is_committed(
    pool: StartPool, text: str, listens: bool, before: bool
) -> None:
    running = pool(default_pool_size=2)
    with client_of(running) as client, client_of(running) as other:
        if before:
            client.ask(query("listen last"))
            leaves(running, client)
        client.ask(query(text))
        if client.status != "I":
            client.ask(query("rollback"))
        client.ask(query("listen last"))
        leaves(running, client)
        other.ask(query("notify news, 'heard'"))
        assert silent_until(client, other) == ([("news", "heard")] if listens else [])


STOPS = {
    "one channel": ("unlisten news", ["last"]),
    "in a transaction": ("begin; select 1; unlisten news; commit", ["last"]),
    "rolled back": ("begin; unlisten *; rollback", ["last", "news"]),
    "back to a savepoint": (
        "begin; unlisten news; savepoint s; unlisten *; rollback to s; commit",
        ["last"],
    ),
    "all": ("unlisten *", []),
    "discarded": ("discard all", []),
    "reset by a driver": (
        "select pg_advisory_unlock_all(); close all; unlisten *; reset all",
        [],
    ),
}


@pytest.mark.parametrize(("text", "left"), STOPS.values(), ids=STOPS)
@pytest.mark.parametrize("extended", [False, True])
def test_a_client_that_was_away_listens_no_more_when_the_server_says_so(
    pool: StartPool, text: str, left: list[str], extended: bool
) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as client, client_of(running) as other:
        client.ask(query("listen news; listen last"))
        leaves(running, client)
        if extended:
            for statement in text.split("; "):
                client.ask(once(statement) + SYNC)
        else:
            client.ask(query(text))
        leaves(running, client)
        if left:
            other.ask(query("notify news, 'heard'"))
            expected = [("news", "heard")] if "news" in left else []
            assert silent_until(client, other) == expected
        assert channels(client) == left
        client.ask(query("begin"))
        assert channels(client) == left
        client.ask(query("listen more"))
        assert channels(client) == left
        client.ask(query("commit"))
        assert channels(client) == sorted([*left, "more"])


def test_several_clients_hear_the_same_in_the_same_order(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as one, client_of(running) as two, client_of(running) as other:
        one.ask(query("listen news"))
        two.ask(query("listen news; listen sport"))
        leaves(running, one, two)
        other.ask(query("notify news, '1'; notify sport, '2'"))
        other.ask(query("notify sport, '3'"))
        other.ask(query("notify news, '4'"))
        assert heard(one.receive("AA")) == [("news", "1"), ("news", "4")]
        assert heard(two.receive("AAAA")) == [
            ("news", "1"),
            ("sport", "2"),
            ("sport", "3"),
            ("news", "4"),
        ]


def test_a_burst_reaches_every_listener_complete_and_in_order(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    count = 10_000
    with client_of(running) as other:
        listeners = [client_of(running) for _ in range(3)]
        for listener in listeners:
            listener.ask(query("listen news"))
        leaves(running, *listeners)
        found: dict[int, list[tuple[object, ...]]] = {}

        def read(listener: RawClient) -> None:
            found[listener.pid] = heard(listener.receive("A" * count))

        threads = [threading.Thread(target=read, args=[listener]) for listener in listeners]
        for thread in threads:
            thread.start()
        half = count // 2
        for first, last in ((1, half), (half + 1, count)):
            other.ask(
                query(f"select pg_notify('news', n::text) from generate_series({first}, {last}) n")
            )
        for thread in threads:
            thread.join()
        expected = [("news", str(number)) for number in range(1, count + 1)]
        assert [found[listener.pid] == expected for listener in listeners] == [True] * 3
        for listener in listeners:
            listener.say_goodbye()


@pytest.mark.hard_case(130)
def test_nothing_is_lost_or_doubled_by_clients_that_come_and_go(
    pool: StartPool, postgres: LocalServer
) -> None:
    """A pool of one: a listener leaves after every transaction, while others notify."""
    running = pool(default_pool_size=1)
    count = 400
    done = threading.Event()

    def publish() -> None:
        with psycopg.connect(postgres.url(), autocommit=True) as mouth:
            for number in range(count):
                mouth.execute("select pg_notify('news', %s)", [str(number)])
        done.set()

    def work(listener: RawClient) -> list[str]:
        replies: list[Reply] = []
        turn = 0
        while not done.is_set():
            turn += 1
            replies += listener.ask(query("select 1" if turn % 3 else "begin; select 2; commit"))
        while len(heard(replies)) < count:
            replies += listener.receive("A")
        return [str(note[1]) for note in heard(replies)]

    listeners = [client_of(running) for _ in range(3)]
    for listener in listeners:
        listener.ask(query("listen news"))
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda each=each: found.append(work(each))) for each in listeners
    ]
    threads.append(threading.Thread(target=publish))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[str(number) for number in range(count)]] * 3
    for listener in listeners:
        listener.say_goodbye()


def is_a_warning(replies: list[Reply]) -> bool:
    (notice,) = [reply for reply in replies if reply[0] == "N"]
    return field(notice, "C") == "01T01" and bool(field(notice, "H"))


@pytest.fixture
def root(postgres: LocalServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.url(), autocommit=True) as client:
        yield client


@pytest.mark.hard_case(130)
def test_when_the_ear_is_killed_its_clients_are_told_and_hear_on(
    pool: StartPool, root: psycopg.Connection
) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as one, client_of(running) as two, client_of(running) as other:
        for client in (one, two):
            client.ask(query("listen news"))
        leaves(running, one, two)
        for turn in range(2):
            root.execute(KILL_THE_EAR)
            assert is_a_warning(one.receive("N"))
            assert is_a_warning(two.receive("N"))
            other.ask(query(f"notify news, '{turn}'"))
            for client in (one, two):
                assert heard(client.receive("A")) == [("news", str(turn))]
                assert channels(client) == ["news"]
            leaves(running, one, two)


def test_clients_that_come_and_go_live_through_the_loss_of_their_ear(
    pool: StartPool, root: psycopg.Connection
) -> None:
    running = pool(default_pool_size=1)
    done = threading.Event()
    found: list[list[int]] = []
    endings: list[Reply] = []

    def work(listener: RawClient) -> None:
        replies: list[Reply] = []
        while not done.is_set():
            replies += listener.ask(query("select 1"))
        while ("A", "last", "word") not in replies and CLOSED not in replies:
            replies += listener.receive("A")
        endings.extend(reply for reply in replies if reply[0] in ("E", "closed", "silent"))
        found.append([int(str(note[1])) for note in heard(replies) if note[0] == "news"])

    def kill() -> None:
        for turn in range(10):
            until(lambda: any(ear.ready for ear in ears(running)))
            for number in range(10):
                root.execute("select pg_notify('news', %s)", [str(10 * turn + number)])
            root.execute(KILL_THE_EAR)
        until(lambda: any(ear.ready for ear in ears(running)))
        done.set()

    listeners = [client_of(running) for _ in range(3)]
    for listener in listeners:
        listener.ask(query("listen news; listen last"))
    leaves(running, *listeners)
    threads = [threading.Thread(target=work, args=[each]) for each in listeners]
    threads.append(threading.Thread(target=kill))
    for thread in threads:
        thread.start()
    threads[-1].join()
    last = threading.Event()

    def say_the_last_word() -> None:
        while not last.wait(0.05):
            root.execute("notify last, 'word'")

    speaker = threading.Thread(target=say_the_last_word)
    speaker.start()
    for thread in threads:
        thread.join()
    last.set()
    speaker.join()
    assert endings == []
    for numbers in found:
        assert numbers == sorted(set(numbers))
    for listener in listeners:
        listener.say_goodbye()


def test_who_comes_home_while_there_is_no_ear_is_told_too(pool: StartPool) -> None:
    running = pool(default_pool_size=1, admin_users="postgres")
    with (
        client_of(running) as client,
        psycopg.connect(running.url("pgbouncer"), autocommit=True) as console,
    ):
        client.ask(query("listen news"))
        leaves(running, client)
        console.execute("PAUSE")
        client.send(query("select 1"))
        session = running.serving.server.sessions[client.pid]
        until(lambda: bool(session.waiting_since))
        console.execute("RESUME")
        replies = client.receive()
        assert is_a_warning(replies)
        assert letters(replies).replace("N ", "") == "T D C Z"
        assert letters(client.ask(query("notify news"))) == "C A Z"


@pytest.mark.parametrize(
    "timeout", ["idle_transaction_timeout", "transaction_timeout", "query_timeout"]
)
def test_waiting_for_a_slow_ear_counts_for_no_timeout(
    timeout: str, pool: StartPool, root: psycopg.Connection
) -> None:
    """On the way home the client holds a backend that has nothing to do, and has not begun."""
    running = pool(default_pool_size=1, **{timeout: 2})
    with client_of(running) as listener:
        listener.ask(query("listen news"))
        leaves(running, listener)
        wire = ears(running)[0].link.backend.wire
        running.serving.run(as_task(wire.pause))
        listener.send(query("select 'home' from pg_sleep(0.3)"))
        until(lambda: not is_away(running, listener))
        # Longer than the timeout; and what follows is longer than a round of the janitor.
        root.execute("select pg_sleep(2.2)")
        running.serving.run(as_task(wire.resume))

        assert ("D", b"home") in listener.receive()


def as_task(call: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    """Something for the pool's own thread to do."""

    async def task() -> None:
        call()

    return task


def test_a_replaced_ear_misses_nothing_and_nobody_is_told(pool: StartPool) -> None:
    running = pool(default_pool_size=1, admin_users="postgres")
    with (
        client_of(running) as listener,
        client_of(running) as other,
        psycopg.connect(running.url("pgbouncer"), autocommit=True) as console,
    ):
        listener.ask(query("listen news"))
        leaves(running, listener)
        expected = []
        for turn in range(3):
            before = ears(running)[0].link
            console.execute("RECONNECT")
            number = 0
            while ears(running)[0].link is before:
                other.ask(query(f"notify news, '{turn} {number}'"))
                expected.append(("news", f"{turn} {number}"))
                number += 1
        other.ask(query("notify news, 'after'"))
        replies = listener.receive("A" * (len(expected) + 1))
        assert heard(replies) == [*expected, ("news", "after")]
        assert set(letters(replies).split()) == {"A"}


def test_a_pause_ends_with_everything_closed_and_listeners_are_told(pool: StartPool) -> None:
    running = pool(default_pool_size=2, admin_users="postgres")
    with (
        client_of(running) as idle,
        client_of(running) as fresh,
        client_of(running) as other,
        psycopg.connect(running.url("pgbouncer"), autocommit=True) as console,
    ):
        idle.ask(query("listen news"))
        leaves(running, idle)
        fresh.ask(query("listen news"))
        console.execute("PAUSE")
        assert all(not pool.backends for pool in running.serving.server.pools.values())
        console.execute("RESUME")
        for client in (idle, fresh):
            assert is_a_warning(client.receive("N"))
        other.ask(query("notify news, 'again'"))
        for client in (idle, fresh):
            assert heard(client.receive("A")) == [("news", "again")]


def test_who_does_not_read_is_ended_and_nobody_else_waits(
    pool: StartPool, postgres: LocalServer
) -> None:
    running = pool(default_pool_size=1, max_client_notification_bytes=100_000)
    with client_of(running) as deaf, client_of(running) as listener:
        for client in (deaf, listener):
            client.ask(query("listen news"))
        leaves(running, deaf, listener)
        session = running.serving.server.sessions[deaf.pid]
        with psycopg.connect(postgres.url(), autocommit=True) as mouth:
            while not session.ended.is_set():
                mouth.execute(
                    "select pg_notify('news', repeat('x', 7000) || n)"
                    " from generate_series(1, 100) n"
                )
                assert len(heard(listener.receive("A" * 100))) == 100
        assert isinstance(session.ending, NotificationsUnread)


PINNED = {
    "by the policy": ("pin", 0),
    "for want of connections": ("share", 1),
}


@pytest.mark.parametrize(("policy", "connections"), PINNED.values(), ids=PINNED)
def test_a_listener_is_pinned_where_nobody_may_listen_for_it(
    pool: StartPool, postgres: LocalServer, policy: str, connections: int
) -> None:
    running = pool(
        default_pool_size=1, pin_policy=f"listen:{policy}", max_db_connections=connections
    )
    with (
        client_of(running) as listener,
        psycopg.connect(postgres.url(), autocommit=True) as mouth,
    ):
        listener.ask(query("listen news"))
        until(lambda: bool(pinned(list(running.serving.server.sessions.values()))))
        mouth.execute("notify news, 'heard'")
        assert heard(listener.receive("A")) == [("news", "heard")]
        assert ears(running) == []


def test_a_listener_with_an_encoding_of_its_own_is_pinned(pool: StartPool) -> None:
    running = pool(default_pool_size=2)
    with (
        psycopg.connect(running.url(), autocommit=True, client_encoding="latin1") as listener,
        psycopg.connect(running.url(), autocommit=True) as other,
    ):
        listener.execute("listen news")
        until(lambda: bool(pinned(list(running.serving.server.sessions.values()))))
        other.execute("notify news, 'caf\u00e9'")
        (note,) = listener.notifies(timeout=PATIENCE_SECONDS, stop_after=1)
        assert note.payload == "caf\u00e9"


def test_in_session_mode_everybody_listens_for_himself(pool: StartPool) -> None:
    running = pool(pool_mode="session", default_pool_size=2)
    with client_of(running) as listener, client_of(running) as other:
        listener.ask(query("listen news"))
        other.ask(query("notify news, 'x'"))
        assert heard(listener.receive("A")) == [("news", "x")]
        assert letters(listener.ask(query("notify news, 'own'"))) == "C A Z"
        assert ears(running) == []
