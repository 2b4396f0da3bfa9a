"""What the pool costs, measured beside other poolers: the map.

`python -m tests.benchmarks` from a clone; `README.md` tells how to read what it prints. Nothing
here is collected by pytest, and nothing in the package imports it.

Nouns. A *side* is a pooler that takes part; a *load* is one workload in one variant (so many
clients); a *round* is every side under the same load, one after the other; a *figure* is one
number about one side under one load.

Reading order: workloads/ (what is run), contest (who runs it when), poolers (who takes part),
accounting (what it cost), bounds (what it may cost), report and plot (how that is shown).

Invariant: a figure is only ever compared with a figure of the same round, and CPU time is what
the operating system charged the pooler for, never what a clock on the wall said.
"""
