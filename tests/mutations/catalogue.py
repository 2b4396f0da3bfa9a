"""Deliberate faults: an exact text of a module, what to put in its place, and who must notice.

A text must occur once; a test sees to it that they all still do. Whoever changes such a place
moves the fault along, to where the same mistake would be made then.
"""

from __future__ import annotations

from typing import Final

import attrs

# The model of PostgreSQL, thousands of conversations in seconds.
MODEL: Final = ("tests/decisions/test_transparency.py",)


def scenarios(mode: str, words: str = "") -> tuple[str, ...]:
    """The scripts with these words in their titles, against a real server."""
    wanted = f"through_the_pool and {mode}" + (f" and {words}" if words else "")
    return ("tests/scenarios/test_scenarios.py", "-k", wanted)


@attrs.frozen
class Mutation:
    """One fault. `tests` are words of a pytest command that must fail with it."""

    title: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


_PIPELINE: Final = "protocol/pipeline.py"
_STATEMENTS: Final = "trio_pool/statements.py"
_BINDING: Final = "trio_pool/relay/binding.py"
_NAMING: Final = "trio_pool/relay/naming.py"
_EFFECTS: Final = "trio_pool/relay/effects.py"
_STATE: Final = "trio_pool/relay/state.py"
_SIMPLE: Final = "trio_pool/relay/simple.py"
_REPLIES: Final = "trio_pool/relay/replies.py"
_LENDING: Final = "trio_pool/relay/lending.py"
_RELEASING: Final = "trio_pool/session/releasing.py"
_ENDING: Final = "trio_pool/session/ending.py"

MUTATIONS: Final = (
    Mutation(
        "what an error silences is not undone",
        _PIPELINE,
        "        for entry in reversed(killed):\n",
        "        for entry in killed[:0]:\n",
        MODEL,
    ),
    Mutation(
        "what an error silences is undone oldest first",
        _PIPELINE,
        "        for entry in reversed(killed):\n",
        "        for entry in killed:\n",
        scenarios("still", "both and undone"),
    ),
    Mutation(
        "what failed is believed to have been done",
        _PIPELINE,
        "            blamed.effect.failed()\n",
        "            blamed.effect.settled()\n",
        MODEL,
    ),
    Mutation(
        "an error silences nothing behind a Query",
        _PIPELINE,
        "        while head is not None and head.kind != FrontendTag.SYNC:\n",
        "        while head is not None and head.kind not in CLOSES_SEGMENT:\n",
        MODEL,
    ),
    Mutation(
        "a backend is released within a transaction",
        _PIPELINE,
        "            and not self.copying_in\n            and self.status == _IDLE\n",
        "            and not self.copying_in\n",
        MODEL,
    ),
    Mutation(
        "a silent client's segment is ended though something is bound in it",
        _PIPELINE,
        "            self.segment_open == PREPARING\n            and not self.owed\n",
        "            self.segment_open != CLOSED\n            and not self.owed\n",
        MODEL,
    ),
    Mutation(
        "a backend is released before the Sync",
        _PIPELINE,
        "            and not self.segment_open\n            and not self.skipping\n",
        "            and not self.skipping\n",
        MODEL,
    ),
    Mutation(
        "a backend is released one message early",
        _PIPELINE,
        "            self.owed.head is None\n            and not self.segment_open\n",
        "            len(self.owed) < 2\n            and not self.segment_open\n",
        ("tests/shell/test_departures.py",),
    ),
    Mutation(
        "Syncs that a COPY swallows are waited for",
        _PIPELINE,
        "outstanding[stop].kind == FrontendTag.SYNC:\n",
        "outstanding[stop].kind == FrontendTag.COPY_FAIL:\n",
        (
            "tests/scenarios/test_scenarios.py",
            "-k",
            "through_the_pool and still and (COPY or copy)",
        ),
    ),
    Mutation(
        "a faked reply comes before its turn",
        _BINDING,
        "pipeline.owe_unheard(entry)\n    relay.client.tentative[key] = entry\n",
        "pipeline.owed.replace([entry, *pipeline.owed])\n    relay.client.tentative[key] = entry\n",
        MODEL,
    ),
    Mutation(
        "a Bind goes out under the client's name",
        _BINDING,
        "    return ensure_named(relay, backend, statement, name, describing)\n",
        "    return name\n",
        MODEL,
    ),
    Mutation(
        "a closed name stays",
        _BINDING,
        "        Closed(relay, key, relay.client.take(key)),\n",
        "        Closed(relay, key, relay.client.names.get(key)),\n",
        MODEL,
    ),
    Mutation(
        "the unnamed statement is not replayed",
        _NAMING,
        "    if backend.statements.unnamed is statement:\n        return True\n",
        "    if backend.statements.unnamed is not None:\n        return True\n",
        MODEL,
    ),
    Mutation(
        "whoever has no unnamed statement executes another client's",
        _NAMING,
        '        relay.to_server.append(frontend.close_statement(b""))\n'
        "        _change_backends_unnamed(relay, backend, FrontendTag.CLOSE, None)\n"
        "        return True\n",
        "        return True\n",
        MODEL,
    ),
    Mutation(
        "a replay is not awaited though its rows may have changed",
        _NAMING,
        "        backend.pipeline.owe_preparing(entry)\n        must_wait = True\n",
        "        backend.pipeline.owe_preparing(entry)\n",
        ("tests/scenarios/test_scenarios.py", "-k", "through_the_pool and rotation"),
    ),
    Mutation(
        "room is made on the backend without closing anything there",
        _NAMING,
        "        close_copy(relay, backend, surplus[0], surplus[1])\n",
        "",
        ("tests/shell/test_statement_limits.py",),
    ),
    Mutation(
        "a failed Parse keeps its name",
        _EFFECTS,
        "            self.relay.client.take(self.name)\n        self.backend.statements.drop",
        "            pass\n        self.backend.statements.drop",
        MODEL,
    ),
    Mutation(
        "a failed replay is believed to have been prepared",
        _EFFECTS,
        "            self.backend.statements.drop(self.statement)\n\n\nclass Description",
        "            pass\n\n\nclass Description",
        MODEL,
    ),
    Mutation(
        "an undone Close does not bring its name back",
        _EFFECTS,
        "            self.relay.client.put(self.name, self.statement)\n\n\nclass Evicted",
        "            pass\n\n\nclass Evicted",
        MODEL,
    ),
    Mutation(
        "a skipped change of the unnamed statement is not taken back",
        _EFFECTS,
        "        self._leave(self.client_before, self.backend_before)\n",
        "        return\n",
        MODEL,
    ),
    Mutation(
        "a Query leaves the client its unnamed statement",
        _SIMPLE,
        "    relay.client.unnamed = None\n    backend.statements.unnamed = None\n"
        "    if effect is None:\n",
        "    backend.statements.unnamed = None\n    if effect is None:\n",
        MODEL,
    ),
    Mutation(
        "DEALLOCATE ALL is not noticed",
        _REPLIES,
        "    if said not in _ALL_GONE:\n",
        "    if said:\n",
        MODEL,
    ),
    Mutation(
        "what the pool asks for is shown to the client",
        _REPLIES,
        "    if head.fate == DROP or unfinished:",
        "    if unfinished:",
        MODEL,
    ),
    Mutation(
        "names of the pool are shown in errors",
        _REPLIES,
        "    if relay.pool.prefix in body:\n        own",
        "    if not body:\n        own",
        MODEL,
    ),
    Mutation(
        "settings do not follow the client",
        _LENDING,
        "    if backend.settings.environment is not relay.settings.environment:\n",
        "    if relay.settings.environment is None:\n",
        scenarios("noise"),
    ),
    Mutation(
        "statements are shared whatever their settings",
        _STATEMENTS,
        "            statement.environment,\n            statement.parameters,\n",
        "            statement.parameters,\n",
        scenarios("still", "(backslashes or characters or different)"),
    ),
    Mutation(
        "names are told apart beyond their 63rd byte",
        _STATEMENTS,
        "NAME_BYTES: Final = 63\n",
        "NAME_BYTES: Final = 64\n",
        scenarios("still", "63"),
    ),
    Mutation(
        "a client that leaves in a transaction gives its backend back",
        _ENDING,
        "    clean = session.relay.releasable and not backend.wire.sending\n",
        "    clean = not backend.wire.sending\n",
        ("tests/shell/test_departures.py",),
    ),
    Mutation(
        "temporary tables do not pin",
        _RELEASING,
        "        if session.relay.pins and session.pool.adversary is None:\n",
        "        if session.relay.pins and session.pool.adversary is not None:\n",
        ("tests/shell/test_classic_disasters.py", "-k", "temporary or lock or listener"),
    ),
    Mutation(
        "nobody asks what a SET in a transaction has left",
        _STATE,
        "    relay.settings_suspect = True\n    relay.settings.mention(names_in(text))\n",
        "    relay.settings.mention(names_in(text))\n",
        ("tests/shell/test_classic_disasters.py", "-k", "row_level or asyncpg"),
    ),
    Mutation(
        "a later segment counts on an unanswered Parse",
        _STATEMENTS,
        "        return parse if parse is not None and parse.segment != segment else None\n",
        "        return None\n",
        MODEL,
    ),
    Mutation(
        "a description takes another copy for its own",
        _EFFECTS,
        "        if names.get(statement) != self.server_name:\n            return\n"
        "        del names[statement]\n",
        "        if names.pop(statement, None) is None:\n            return\n",
        MODEL,
    ),
    Mutation(
        "an older answer settles a newer Parse",
        _STATEMENTS,
        "        if parse is not None and not parse.open:\n",
        "        if parse is not None:\n",
        MODEL,
    ),
)
