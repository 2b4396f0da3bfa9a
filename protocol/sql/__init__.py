"""What PostgreSQL would understand of an SQL text, as far as a session's state depends on it.

    prefilter   is it certainly an ordinary statement? (hot: one look at the first bytes)
    lexer       the server's tokens              split     the server's statements
    stretches   what split passes at once        plainly   statements in their plainest spelling
    identifiers names as the server knows them   symbols   one statement, ready for the grammar
    grammar     the statements that matter (with grammar_words, grammar_settings)
    command     what was found
    classify    all of it together               rewrite   other names put into a text

Everything here takes `bytes` and byte offsets, never raises whatever the bytes are, and needs
time linear in the text. One principle allows it to be short: the server parses a whole text
before it executes any of it, so a text that the server refuses may be classified in any way.
Only texts that the server accepts must be understood, and what is not understood is reported
as unsure.
"""
