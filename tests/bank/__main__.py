"""`python -m tests.bank`: ten minutes of transfers and killings."""

from __future__ import annotations

import argparse
import logging
import sys

from tests.bank.bank import Plan, play

SECONDS = 600.0


def main() -> int:
    """Run it; returns the exit status: 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bank", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--backends", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.getLogger("trio_pool").setLevel(logging.ERROR)
    plan = Plan(options.seconds, options.clients, options.backends, options.seed)
    report = play(plan)
    for finding in report.findings[:20]:
        print(f"FOUND {finding}", file=sys.stderr)
    print(f"seed {plan.seed}, {plan.seconds:.0f} s, {plan.clients} clients: {report}")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
