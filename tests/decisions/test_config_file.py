"""Files: PgBouncer's dialect, databases, users, secrets, and complaints with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from trio_pool.config import Config, ConfigError, PoolMode, load_config

SECRET = "hunter2-secret"


def load(folder: Path, text: str) -> Config:
    path = folder / "pool.ini"
    path.write_text(text)
    return load_config(path)


def complaint_about(folder: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as complaint:
        load(folder, text)
    assert SECRET not in str(complaint.value)
    return complaint.value


def test_a_usual_file_is_read_whole(tmp_path: Path) -> None:
    userlist = tmp_path / "userlist.txt"
    userlist.write_text(f'; who may come in\n"app" "{SECRET}"\n"o""brien" "md5abc" ignored\n')

    config = load(
        tmp_path,
        f"""
        ;; a comment
        # another
        [databases]
        app = host=127.0.0.1 port=5433 dbname=real pool_size=7
        * = host=/var/run/postgresql

        [pgbouncer]
        listen_addr = 127.0.0.1
        pool_mode = transaction
        auth_file = {userlist}
        server_reset_query = DISCARD ALL; -- not a comment
        [users]
        app = pool_mode=session max_user_connections=3
        """,
    )

    assert config.settings.pool_mode is PoolMode.TRANSACTION
    assert config.settings.server_reset_query == "DISCARD ALL; -- not a comment"
    assert config.secrets == {"app": SECRET, 'o"brien': "md5abc"}
    app = config.database("app")
    assert app is not None
    assert (app.host, app.port, app.dbname, app.pool_size) == ("127.0.0.1", 5433, "real", 7)
    assert config.users["app"].max_user_connections == 3


def test_secrets_are_in_no_repr(tmp_path: Path) -> None:
    (tmp_path / "u").write_text(f'"app" "{SECRET}"')
    config = load(
        tmp_path,
        f"[pgbouncer]\nauth_file = {tmp_path / 'u'}\n[databases]\nd = password={SECRET}\n",
    )

    assert SECRET not in repr(config)


def test_the_fallback_serves_every_name_but_the_console(tmp_path: Path) -> None:
    config = load(tmp_path, "[databases]\n* = host=h\nreal = host=r dbname=x\n")

    other = config.database("other")
    assert other is not None
    assert (other.name, other.host, other.dbname) == ("other", "h", "other")
    real = config.database("real")
    assert real is not None
    assert real.dbname == "x"
    assert config.database("pgbouncer") is None


def test_a_fallback_with_a_dbname_leads_everyone_there(tmp_path: Path) -> None:
    other = load(tmp_path, "[databases]\n* = host=h dbname=one\n").database("other")

    assert other is not None
    assert other.dbname == "one"


def test_without_a_fallback_an_unknown_database_is_none(tmp_path: Path) -> None:
    assert load(tmp_path, "[databases]\nd = host=h\n").database("other") is None


def test_a_database_without_a_host_is_reached_by_the_unix_socket(tmp_path: Path) -> None:
    config = load(
        tmp_path, '[databases]\n"my db" = port=1\n[pgbouncer]\nunix_socket_dir = /run/pg\n'
    )

    assert config.databases["my db"].host == "/run/pg"


@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("password=plain", "plain"),
        ("password = plain", "plain"),
        ("password='with blank'", "with blank"),
        ("password='it''s'", "it's"),
        (r"password=back\slash", r"back\slash"),
        ("password=a=b", "a=b"),
        ("password=it's", "it's"),
        ("password='last'  ", "last"),
    ],
)
def test_connection_strings_are_quoted_as_in_pgbouncer(
    tmp_path: Path, written: str, password: str
) -> None:
    database = load(tmp_path, f"[databases]\nd = host=h {written}\n").databases["d"]

    assert database.password == password


@pytest.mark.parametrize(
    "written",
    ["password", "password=", f"password='{SECRET}", "password=''", "=x", f"host=h '{SECRET}'"],
)
def test_a_broken_connection_string_is_refused_by_its_column_not_its_text(
    tmp_path: Path, written: str
) -> None:
    complaint = complaint_about(tmp_path, f"[databases]\n\nd = {written}\n")

    assert complaint.line == 3
    assert "column" in complaint.message


def test_the_limits_of_a_user_come_before_those_of_the_database(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        [databases]
        d = host=h pool_size=5 pool_mode=statement reserve_pool=2 server_lifetime=9
        [users]
        u = pool_size=0 query_timeout=1.5
        [pgbouncer]
        default_pool_size = 8
        pool_mode = transaction
        """,
    )
    database = config.databases["d"]

    own = config.limits(database, "u")
    assert (own.pool_size, own.pool_mode, own.query_timeout) == (0, PoolMode.STATEMENT, 1.5)
    others = config.limits(database, "v")
    assert (others.pool_size, others.reserve_pool_size, others.server_lifetime) == (5, 2, 9.0)
    assert others.query_timeout == 0.0


def test_an_included_file_is_read_in_place(tmp_path: Path) -> None:
    (tmp_path / "more.ini").write_text("listen_port = 7000\n[databases]\n")

    config = load(
        tmp_path,
        f"[pgbouncer]\nlisten_port = 1\n%include {tmp_path / 'more.ini'}\nd = host=h\n",
    )

    assert config.settings.listen_port == 7000
    assert "d" in config.databases


def test_a_file_that_includes_itself_is_refused(tmp_path: Path) -> None:
    complaint = complaint_about(tmp_path, f"[pgbouncer]\n%include {tmp_path / 'pool.ini'}\n")

    assert "includes itself" in complaint.message


def test_a_complaint_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "more.ini").write_text("\nlisten_prt = 7000\n")

    complaint = complaint_about(tmp_path, f"[pgbouncer]\n%include {tmp_path / 'more.ini'}\n")

    assert (complaint.path, complaint.line) == (tmp_path / "more.ini", 2)


@pytest.mark.parametrize(
    ("text", "line", "says", "hint"),
    [
        ("[pgbouncer]\n\nlisten_prt = 1\n", 3, "listen_prt", "did you mean 'listen_port'?"),
        ("[pgbouncer]\nlisten_port = x\n", 2, "expected a port", None),
        ("[pgbouncers]\n", 1, "unknown section", "did you mean 'pgbouncer'?"),
        ("listen_port = 1\n", 1, "before any section", "[pgbouncer]"),
        ("[pgbouncer]\njust words\n", 2, "expected [section]", None),
        ("[databases]\nd = hst=x\n", 2, "unknown key 'hst'", "did you mean 'host'?"),
        ("[databases]\nd = host=x pool_mode=tx\n", 2, "one of session", None),
        ("[databases]\npgbouncer = host=x\n", 2, "reserved", None),
        ("[users]\nu = pool_mod=session\n", 2, "unknown key", "did you mean 'pool_mode'?"),
        ("[peers]\n0 = host=x\n", 2, "id above 0", None),
        ("[pgbouncer]\n", None, "no database", "[databases]"),
        ("[pgbouncer]\n%include /no/such/file\n", None, "cannot be read", None),
        ("[pgbouncer]\nauth_file = /no/such/file\n[databases]\n*=\n", None, "cannot be read", None),
    ],
)
def test_a_complaint_has_a_place_a_reason_and_a_next_step(
    tmp_path: Path, text: str, line: int | None, says: str, hint: str | None
) -> None:
    complaint = complaint_about(tmp_path, text)

    assert complaint.line == line
    assert complaint.path is not None
    assert says in complaint.message
    assert hint is None or hint in (complaint.hint or "")


def test_a_missing_file_is_a_complaint_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "absent.ini")


def test_a_broken_userlist_is_refused_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "u").write_text(f'"a" "b"\n\n"c" {SECRET}\n')

    complaint = complaint_about(
        tmp_path, f"[pgbouncer]\nauth_file = {tmp_path / 'u'}\n[databases]\n* = host=h\n"
    )

    assert (complaint.path, complaint.line) == (tmp_path / "u", 3)


def test_what_has_no_meaning_here_is_noticed_with_its_place(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "[pgbouncer]\npkt_buf = 9\npool_mode = session\n"
        "[databases]\nd = host=h\n[peers]\n1 = host=/tmp\n",
    )

    path = tmp_path / "pool.ini"
    (notice,) = config.notices
    assert notice.startswith(f"{path}:2: pkt_buf has no meaning here")
    assert config.peers[1].host == "/tmp"
