"""The command `trio-pool`: what was asked for, and how it ended.

Reads the command line and hands over; Trio and all that needs it are imported only once it is
known that they will be used, so that `--help` answers at once. The exit status is 0 when all
went well, 1 when something failed and was explained, 2 when the command line made no sense.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from protocol import form
from trio_pool.terminal import flags

COMMANDS: Final = (
    *("run", "exec", "demo", "init", "check", "migrate", "conform", "top", "console", "hash"),
    "completion",
)

_EXAMPLES: Final = """\
examples:
  trio-pool postgresql://user:password@host/db     a pool on 127.0.0.1:6432, no file needed
  trio-pool pgbouncer.ini                          what PgBouncer would do with this file
  trio-pool --from-environment                     what an image of PgBouncer would do
  trio-pool init URL                               a pgbouncer.ini to begin with
  trio-pool exec URL -- pytest                     a command with a pool under it
  trio-pool demo                                   PostgreSQL, a pool, and the proof, right here
  trio-pool conform --direct URL --via URL         does a pooler show what the server shows
  trio-pool top postgresql://admin@host:6432       how a pooler is doing, PgBouncer too
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        _parser().print_help()
        return 2
    if words[0] not in (*COMMANDS, "-h", "--help", "-V", "--version"):
        words.insert(0, "run")
    program: list[str] = []
    if words[0] == "exec" and "--" in words:
        middle = words.index("--")
        words, program = words[:middle], words[middle + 1 :]
    parser = _parser()
    options = parser.parse_args(words)
    options.program = program
    if options.command == "exec" and not program:
        parser.error("exec: say which command after two dashes: trio-pool exec URL -- COMMAND")
    return _CARRIED_OUT_BY[options.command](options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trio-pool",
        description="A PostgreSQL transaction pooler that no client notices.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="which version this is")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_run(commands.add_parser("run", help="serve a URL or an ini file (needs no word `run`)"))
    _add_exec(commands.add_parser("exec", help="run a command with a pool under it"))
    _add_demo(commands.add_parser("demo", help="show it at work with a PostgreSQL of its own"))
    flags.add_init(commands.add_parser("init", help="write a pgbouncer.ini to begin with"))
    _add_check(commands.add_parser("check", help="say what is wrong with an ini file, and where"))
    migrate = commands.add_parser("migrate", help="say what becomes of a pgbouncer.ini here")
    migrate.add_argument("file", metavar="FILE", help="a pgbouncer.ini")
    migrate.add_argument("--json", action="store_true", help="print the report as JSON")
    _add_conform(commands.add_parser("conform", help="compare a pooler with the server behind it"))
    flags.add_top(commands.add_parser("top", help="how a pooler is doing, live"))
    flags.add_console(commands.add_parser("console", help="a shell over a pooler's admin console"))
    flags.add_hash(commands.add_parser("hash", help="the line of a user list for a password"))
    flags.add_completion(commands.add_parser("completion", help="a script that completes commands"))
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", metavar="URL|FILE", nargs="?", help="a connection URL or a pgbouncer.ini"
    )
    parser.add_argument(
        "--from-environment",
        action="store_true",
        help="configured by DATABASE_URL, DB_HOST, POSTGRESQL_HOST, PGBOUNCER_..., as images are, "
        "unless there is a FILE",
    )
    parser.add_argument("-p", "--port", type=int, help="listen on this port (0: any free one)")
    parser.add_argument(
        "-s",
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting that wins over the file; may be repeated",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no log on the terminal")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="log more")
    parser.add_argument("-u", "--user", metavar="USERNAME", help="run as this account (from root)")
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="which version this is")
    parser.add_argument(
        "-d", "--daemon", action="store_true", help="go into the background once it listens"
    )
    parser.add_argument(
        "-R",
        "--reboot",
        action="store_true",
        help="take over the listening sockets of the process that runs with this file",
    )


def _add_exec(parser: argparse.ArgumentParser) -> None:
    parser.usage = "trio-pool exec [-s NAME=VALUE] [--adversarial] URL|FILE -- COMMAND ..."
    parser.description = (
        "Run a command that finds a pool in DATABASE_URL, PGHOST, PGPORT, PGUSER, PGPASSWORD and "
        "PGDATABASE. Its exit status is passed on, and signals are passed to it."
    )
    parser.add_argument("target", metavar="URL|FILE", help="a connection URL or a pgbouncer.ini")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--adversarial",
        action="store_true",
        help="keep nothing of a session; report what the command depended on, and fail then",
    )
    parser.add_argument(
        "--json", action="store_true", help="the report as JSON, on the standard error's last line"
    )


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="end after the proof")
    parser.add_argument("--postgres", metavar="URL", help="use this server, not one of its own")
    parser.add_argument("--port", type=int, default=0, help="listen on this port")
    parser.add_argument("--json", action="store_true", help="print the proof as JSON, and end")


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a pgbouncer.ini")
    parser.add_argument("--connect", action="store_true", help="log in at every database once")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def _add_conform(parser: argparse.ArgumentParser) -> None:
    parser.description = "Play the same scripts directly and through a pooler; show what differs."
    parser.add_argument("--direct", metavar="URL", required=True, help="a superuser of the server")
    parser.add_argument("--via", metavar="URL", required=True, help="the same, by the pooler")
    levels = parser.add_mutually_exclusive_group()
    for level, text in (("quick", "about a minute"), ("thorough", "50,000 random scripts")):
        levels.add_argument(
            f"--{level}", dest="level", action="store_const", const=level, help=text
        )
    parser.set_defaults(level="default")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--recorded", action="store_true", help="no random scripts")
    kinds.add_argument("--random", action="store_true", help="random scripts only")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="recorded scripts with this in their titles"
    )
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--seed", type=int, help="of the random scripts, as a report shows it")
    parser.add_argument("--examples", type=int, metavar="N", help="how many random scripts")
    parser.add_argument(
        "--lanes", type=int, metavar="N", help="random scripts on N databases at once"
    )


class _Version(argparse.Action):
    """Asks for the version only when it is wanted: that takes longer than all the rest."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> NoReturn:
        import importlib.metadata

        number = importlib.metadata.version("trio-pool")
        sys.stdout.write(f"trio-pool {number} ({form.description()})\n")
        parser.exit()


def _run(options: argparse.Namespace) -> int:
    from trio_pool import command

    target = options.target
    if options.from_environment and not (target and os.path.exists(target)):
        target = command.ENVIRONMENT
    if target is None:
        _parser().error("say what to serve: a URL, a file, or --from-environment")
    overrides = [*options.set]
    if options.port is not None:
        overrides.append(f"listen_port={options.port}")
    return command.run(
        target=target,
        overrides=overrides,
        quiet=options.quiet,
        verbose=options.verbose,
        account=options.user,
        daemon=options.daemon,
        reboot=options.reboot,
    )


def _exec(options: argparse.Namespace) -> int:
    from trio_pool import under

    return under.run(
        target=options.target,
        overrides=options.set,
        adversarial=options.adversarial,
        program=options.program,
        as_json=options.json,
    )


def _demo(options: argparse.Namespace) -> int:
    from trio_pool import demo

    return demo.run(
        postgres=options.postgres, port=options.port, once=options.once, as_json=options.json
    )


def _check(options: argparse.Namespace) -> int:
    from trio_pool import check

    return check.check(options.file, connect=options.connect, as_json=options.json)


def _init(options: argparse.Namespace) -> int:
    from trio_pool import init

    names = ("url", "directory", "listen_addr", "port", "force", "json")
    return init.run(init.Options(**{name: getattr(options, name) for name in names}))


def _migrate(options: argparse.Namespace) -> int:
    from trio_pool import migrate

    return migrate.migrate(options.file, as_json=options.json)


def _top(options: argparse.Namespace) -> int:
    from trio_pool.terminal import top

    return top.run(top.Options(options.url, options.once, options.json, options.seconds))


def _console(options: argparse.Namespace) -> int:
    from trio_pool.terminal import console

    return console.run(console.Options(options.url, options.say, options.json))


def _hash(options: argparse.Namespace) -> int:
    from trio_pool.terminal import password

    return password.run(
        user=options.user, md5=options.md5, iterations=options.iterations, as_json=options.json
    )


def _complete(options: argparse.Namespace) -> int:
    from trio_pool.terminal.completion import SHELLS, Word

    words = [Word(name, *described) for name, described in flags.described(_parser()).items()]
    sys.stdout.write(SHELLS[options.shell](words))
    return 0


def _conform(options: argparse.Namespace) -> int:
    from trio_pool.conform import command

    names = (
        "direct",
        "via",
        "level",
        "recorded",
        "random",
        "only",
        "json",
        "seed",
        "examples",
        "lanes",
    )
    return command.run(command.Options(**{name: getattr(options, name) for name in names}))


_CARRIED_OUT_BY: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "check": _check,
    "completion": _complete,
    "conform": _conform,
    "console": _console,
    "demo": _demo,
    "exec": _exec,
    "hash": _hash,
    "init": _init,
    "migrate": _migrate,
    "run": _run,
    "top": _top,
}
