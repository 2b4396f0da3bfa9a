"""The building blocks of the grammar: keywords, names, and labels, over a line of symbols.

Only what several rules share. `symbols` explains what the symbols are.
"""

from __future__ import annotations

from typing import Final

import pyparsing as pp

# Why: the words of PostgreSQL go on with $ and with every byte above 0x7f.
_WORD_CHARACTERS: Final = "".join(chr(code) for code in range(0x21, 0x100))


def keywords(words: str) -> pp.ParserElement:
    """These words, one after the other."""
    parts = [pp.Keyword(word, ident_chars=_WORD_CHARACTERS).suppress() for word in words.split()]
    return pp.And(parts)


def one_of(words: str) -> pp.ParserElement:
    """One of these words."""
    return pp.MatchFirst([keywords(word) for word in words.split()])


def _column(line: str, column: int, found: pp.ParseResults) -> int:
    return column


def labelled(symbol: str, label: str) -> pp.ParserElement:
    """A symbol of this pattern; its column in the line is found under the label."""
    return pp.Regex(symbol).set_parse_action(_column)(label)


def tag(label: str, value: str | bool = True) -> pp.ParserElement:
    """Nothing in the line: puts a fact under the label."""
    # Why not pyparsing's own Tag: the oldest version we allow has none.
    return pp.Empty().set_parse_action(pp.replace_with(value))(label)


def kind(name_of_kind: str) -> pp.ParserElement:
    """Nothing in the line: says which CommandKind the statement is."""
    return tag("kind", name_of_kind)


NAME_SYMBOL: Final = r'"|[A-Z_\x80-\xff][^ ]*'
ANY_SYMBOL: Final = r"[^ ]+"

name = labelled(NAME_SYMBOL, "name")
some_name = pp.Regex(NAME_SYMBOL).suppress()
qualified = pp.DelimitedList(some_name, delim=".").suppress()
string = pp.Literal("'").suppress()
parentheses = pp.Literal("()").suppress()
end = pp.StringEnd()
all_of_them = keywords("ALL") + tag("all")
