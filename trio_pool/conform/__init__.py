"""Does a pooler show what a private server would have shown? Ask it: `trio-pool conform`.

The same script is played on direct connections, one per client, and through the pooler, while
an adversary moves backends around; whatever a client saw must be equal, message for message.
It works against any pooler, and shares nothing with ours but `protocol` and how connections are
opened.

Pure: `script` and `words` (the language), `scripts/` (the recorded ones), `random_scripts`,
`random_texts` and `random_world` (the random ones), `shrinking`, `replies` (what a server said,
decoded apart from `protocol`), `normalise` (what may differ, with reasons), `compare` and `report`.
With Trio: `client`, `world` (the database), `play`, `adversaries`, `seats` (clients that are kept),
`campaign` (one run), `exploration` (random scripts), `lanes` (several at once) and `command`.
"""
