"""The architecture, checked: who may import whom, and how long a function may be.

Three rings, imports point inwards: `protocol` (PostgreSQL, pure) < the decisions of `trio_pool`
(pooling, pure) < the shell of `trio_pool` (Trio, sockets, time). A module that is not named
below belongs to the shell.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("protocol", "trio_pool")

DECISIONS = (
    "trio_pool.access",
    "trio_pool.channels",
    "trio_pool.config",
    "trio_pool.conform.compare",
    "trio_pool.conform.normalise",
    "trio_pool.conform.random_scripts",
    "trio_pool.conform.random_texts",
    "trio_pool.conform.random_world",
    "trio_pool.conform.replies",
    "trio_pool.conform.report",
    "trio_pool.conform.script",
    "trio_pool.conform.scripts",
    "trio_pool.conform.shrinking",
    "trio_pool.conform.words",
    "trio_pool.console",
    "trio_pool.credentials",
    "trio_pool.dependence",
    "trio_pool.customs",
    "trio_pool.errors",
    "trio_pool.functions",
    "trio_pool.metrics",
    "trio_pool.overheard",
    "trio_pool.pins",
    "trio_pool.relay",
    "trio_pool.settings",
    "trio_pool.shapes",
    "trio_pool.statements",
    "trio_pool.terminal.completion",
    "trio_pool.terminal.layout",
    "trio_pool.web.exposition",
    "trio_pool.watch",
)
# The only modules that hold a socket or reach below Trio's usual surface. The embedded
# PostgreSQL asks the kernel for a free port; a pool in a thread is ended from another one; the
# client of `conform` can reset its connection; Trio tells whether other tasks have anything to
# do, and what it waits for itself; sockets are handed from one process to another, and datagrams
# sent to the system's own daemons; the addresses of this machine have families.
NEAR_THE_METAL = (
    "trio_pool.wire",
    "trio_pool.switchboard",
    "trio_pool.bustle",
    "trio_pool.poller",
    "trio_pool.listener",
    "trio_pool.conform.client",
    "trio_pool.embedded.cluster",
    "trio_pool.handover",
    "trio_pool.interfaces",
    "trio_pool.resolver",
    "trio_pool.syslog",
    "trio_pool.systemd",
    "trio_pool.takeover",
    "trio_pool.threaded",
    "trio_pool.tls",
)
# Why mypy_extensions: the widths of integers, which only the compiler reads.
PURE_LIBRARIES = ("attrs", "pyparsing", "mypy_extensions")
# Of the standard library, what a pure module must not touch: the outside world and the clock.
IMPURE = (
    *("asyncio", "http", "multiprocessing", "select", "selectors", "signal", "socket"),
    *("socketserver", "ssl", "subprocess", "threading", "time", "urllib.request"),
)
LINES_MAX = 60


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def belongs(module: str, groups: tuple[str, ...]) -> bool:
    return any(module == group or module.startswith(f"{group}.") for group in groups)


def imports_of(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every module that is imported or reached through `trio`, wherever, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            assert node.module is not None
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            # `trio.lowlevel` needs no import of its own.
            if node.value.id == "trio":
                yield f"trio.{node.attr}", node.lineno


def breaches(path: Path) -> Iterator[str]:
    """Each rule that the module breaks, in words."""
    module = name_of(path)
    tree = ast.parse(path.read_text())
    for imported, line in imports_of(tree):
        rule = broken_rule(module, imported)
        # Who hands a socket on may name its type.
        if rule is not None and not (imported == "socket" and only_in_annotations(tree, "socket")):
            yield f"{path.relative_to(ROOT)}:{line}: uses {imported}: {rule}"


def only_in_annotations(tree: ast.Module, name: str) -> bool:
    """Whether a module is imported for the sake of types alone."""
    annotations = {
        inner
        for node in ast.walk(tree)
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if annotation is not None
        for inner in ast.walk(annotation)
    }
    uses = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name)
    return all(use in annotations for use in uses)


def broken_rule(module: str, imported: str) -> str | None:
    top = imported.partition(".")[0]
    if belongs(module, ("protocol",)):
        return protocol_rule(imported, top)
    if belongs(module, DECISIONS):
        return decisions_rule(imported, top)
    if belongs(imported, ("socket", "select", "selectors", "trio.lowlevel", "trio.socket")):
        if not belongs(module, NEAR_THE_METAL):
            return f"only {', '.join(NEAR_THE_METAL)} touch sockets and trio.lowlevel"
    return None


def protocol_rule(imported: str, top: str) -> str | None:
    if top in ("trio", "trio_pool"):
        return "protocol knows PostgreSQL and nothing else: no pool, no I/O"
    if top not in (*PURE_LIBRARIES, "protocol", *sys.stdlib_module_names):
        return f"protocol stands on the standard library and {', '.join(PURE_LIBRARIES)} alone"
    if belongs(imported, IMPURE):
        return "protocol does no I/O and has no clock"
    return None


def decisions_rule(imported: str, top: str) -> str | None:
    if top == "trio" or belongs(imported, IMPURE):
        return "a decision is made without Trio, sockets and the clock"
    if top == "trio_pool" and imported != "trio_pool" and not belongs(imported, DECISIONS):
        return "decisions know nothing of the shell around them"
    return None


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_inwards(path: Path) -> None:
    assert not list(breaches(path))


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("protocol.framing", "trio"),
        ("protocol.framing", "trio_pool.config"),
        ("protocol.framing", "socket"),
        ("protocol.sql.lexer", "psycopg"),
        ("trio_pool.relay.parsing", "trio"),
        ("trio_pool.config.load", "trio_pool.server"),
        ("trio_pool.settings", "time"),
        ("trio_pool.session", "socket"),
        ("trio_pool.session", "trio.lowlevel.wait_readable"),
    ],
)
def test_a_breach_would_be_seen(module: str, imported: str) -> None:
    assert broken_rule(module, imported) is not None


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("protocol.framing", "struct"),
        ("protocol.sql.grammar", "pyparsing"),
        ("trio_pool.config.url", "urllib.parse.urlsplit"),
        ("trio_pool.relay.parsing", "protocol.tags.FrontendTag"),
        ("trio_pool.session", "trio.Event"),
        ("trio_pool.wire", "socket"),
        ("trio_pool.switchboard", "trio.lowlevel.wait_readable"),
    ],
)
def test_what_is_allowed_passes(module: str, imported: str) -> None:
    assert broken_rule(module, imported) is None


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_function_is_longer_than_can_be_read_at_once(path: Path) -> None:
    too_long = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {length} lines of {LINES_MAX}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := length_of(node)) > LINES_MAX
    ]

    assert not too_long


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring."""
    assert function.end_lineno is not None
    docstring = 0
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        assert first.end_lineno is not None
        docstring = first.end_lineno - first.lineno + 1
    return function.end_lineno - function.lineno + 1 - docstring


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_error_is_caught_by_nobody_in_particular(path: Path) -> None:
    """A bare `except:`, or one whose whole body is `pass` for every exception there is."""
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and catches_all_in_silence(node)
    ]

    assert not bare


def catches_all_in_silence(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    broad = isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")
    return broad and all(isinstance(line, ast.Pass) for line in handler.body)
