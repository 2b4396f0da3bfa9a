"""The pytest plugin: a pool in front of PostgreSQL as a session fixture (docs/pytest.md).

Loaded in every pytest run of its environment, so that nothing is imported here but pytest; all
else waits for a test that asks for a fixture. Every name begins with `trio_pool`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from trio_pool.hooks import Hooks
    from trio_pool.testing.pools import Pools, StartPool
    from trio_pool.threaded import ThreadedPool

    Settings = dict[str, str | float]

_ENVIRONMENT = "TRIO_POOL_TEST_POSTGRES"
_FAIL = "fail"
_REPORT = "report"
# What a test depended on, in its report; so it comes back from the workers of xdist as well.
_PROPERTY = "trio_pool_dependence"
_POOLS: pytest.StashKey[Pools] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, and the settings of the ini file that they win over."""
    group = parser.getgroup("trio-pool", "a PostgreSQL transaction pooler in front of the tests")
    choices = "a URL, docker, docker:IMAGE or local"
    group.addoption("--trio-pool-postgres", metavar="SERVER", help=f"test with: {choices}")
    group.addoption(
        "--trio-pool-strict",
        action="store_true",
        default=None,
        help="fail tests that leave an open transaction, a pin or a lock",
    )
    group.addoption(
        "--trio-pool-adversarial",
        nargs="?",
        const=_FAIL,
        choices=(_FAIL, _REPORT),
        help="keep nothing of a session from one transaction to the next; fail the tests that "
        "depend on it, or only report them",
    )
    parser.addini("trio_pool_adversarial", "fail or report, as the option", default="")
    parser.addini("trio_pool_postgres", f"the server to test with: {choices}", default="")
    parser.addini("trio_pool_settings", "settings of the pool: name = value", type="linelist")
    parser.addini("trio_pool_strict", "as --trio-pool-strict", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Watch every test, if that is wanted."""
    adversarial = _adversarial(config)
    if adversarial not in ("", _FAIL, _REPORT):
        raise pytest.UsageError(f"trio_pool_adversarial = {adversarial}: expected fail or report")
    if _is_strict(config) or adversarial:
        config.pluginmanager.register(_EveryTest(), "trio_pool_every_test")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """What tests depended on, where it is only reported; with -v where the server came from."""
    if _adversarial(config) == _REPORT:
        _summarize(terminalreporter)
    pools = config.stash.get(_POOLS, None)
    if pools is not None and config.get_verbosity() > 0:
        terminalreporter.write_line(f"trio_pool: PostgreSQL is {pools.how}")


def _summarize(terminalreporter: pytest.TerminalReporter) -> None:
    found: dict[str, list[str]] = {}
    for reports in terminalreporter.stats.values():
        for done in reports:
            if getattr(done, "when", "") == "teardown":
                for name, value in done.user_properties:
                    if name == _PROPERTY:
                        found.setdefault(str(value), []).append(done.nodeid)
    if found:
        terminalreporter.section("trio_pool: what does not survive transaction pooling")
    for line, tests in found.items():
        more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
        terminalreporter.write_line(f"{line}\n    {tests[0]}{more}")


def _is_strict(config: pytest.Config) -> bool:
    given = config.getoption("trio_pool_strict")
    return bool(config.getini("trio_pool_strict") if given is None else given)


def _adversarial(config: pytest.Config) -> str:
    """fail, report, or empty."""
    given = config.getoption("trio_pool_adversarial") or config.getini("trio_pool_adversarial")
    return str(given).strip().lower()


@pytest.fixture(scope="session")
def trio_pool_postgres(request: pytest.FixtureRequest) -> Iterator[object]:
    """The server behind the pool. Override it to return a URL, or a server of another plugin
    (`postgresql_proc` of pytest-postgresql, testcontainers' PostgresContainer).
    """
    from trio_pool.embedded import EmbeddedError
    from trio_pool.testing.servers import ServerMissing, server_for

    config = request.config
    choice = config.getoption("trio_pool_postgres") or os.environ.get(_ENVIRONMENT)
    choice = choice or config.getini("trio_pool_postgres")
    place = server_for(choice)
    try:
        found = place.__enter__()
    except (ServerMissing, EmbeddedError) as missing:
        # Who asked for a certain server must not believe that the tests were run.
        if choice:
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    try:
        yield found
    finally:
        place.__exit__(None, None, None)


@pytest.fixture(scope="session")
def trio_pool_settings() -> Settings:
    """Settings of the pool by name; override it to return others. The ini file's come first."""
    return {}


@pytest.fixture(scope="session")
def trio_pool_factory(
    request: pytest.FixtureRequest, trio_pool_settings: Settings
) -> Iterator[StartPool]:
    """`start(server, hooks=None, **settings)`: more pools, which end with the session."""
    from trio_pool.config import ConfigError
    from trio_pool.testing.pools import Pools, Unreachable

    pools = request.config.stash[_POOLS] = Pools()
    given = _ini_settings(request.config) | trio_pool_settings
    if _adversarial(request.config):
        given["adversarial"] = 1

    def start(server: object, hooks: Hooks | None = None, **settings: str | float) -> ThreadedPool:
        pools.how = pools.how or str(getattr(server, "how", "of the suite's own"))
        try:
            return pools.start(server, hooks, {**given, **settings})
        except (Unreachable, ConfigError) as failure:
            pytest.fail(str(failure), pytrace=False)

    try:
        yield start
    finally:
        pools.end()


@pytest.fixture(scope="session")
def trio_pool(trio_pool_factory: StartPool, trio_pool_postgres: object) -> ThreadedPool:
    """A running pool: `.url`, `.access`, `.stats()`, `.pause()`, `.resume()`, `.leftovers()`."""
    return trio_pool_factory(trio_pool_postgres)


@pytest.fixture
def trio_pool_strict(request: pytest.FixtureRequest, trio_pool: ThreadedPool) -> Iterator[None]:
    """Fail the test that leaves an open transaction, a pin or a lock at the pool."""
    yield from _watched(request, strict=True)


class _EveryTest:
    """Watches tests that do not ask for it."""

    @pytest.fixture(autouse=True)
    def _trio_pool_watch(self, request: pytest.FixtureRequest) -> Iterator[None]:
        if "trio_pool_factory" not in request.fixturenames:
            # It may still talk to a pool that an earlier test has started.
            if _POOLS not in request.config.stash:
                yield
                return
        else:
            request.getfixturevalue("trio_pool_factory")
        yield from _watched(request, _is_strict(request.config))


def _watched(request: pytest.FixtureRequest, strict: bool) -> Iterator[None]:
    from trio_pool.dependence import line
    from trio_pool.testing.watch import Watch, of_dependences, of_leftovers

    watch = Watch(request.config.stash[_POOLS].running)
    yield
    complaints = []
    left = watch.leftovers() if strict else []
    if left:
        complaints.append(of_leftovers(left))
    found = watch.dependences()
    if found and _adversarial(request.config) == _FAIL:
        complaints.append(of_dependences(found))
    for one in found:
        request.node.user_properties.append((_PROPERTY, f"{one.kind}: {line(one, 1).strip()}"))
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


def _ini_settings(config: pytest.Config) -> Settings:
    settings: Settings = {}
    for line in config.getini("trio_pool_settings"):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            raise pytest.UsageError(f"trio_pool_settings: {line!r} is not name = value")
        settings[name] = value
    return settings
