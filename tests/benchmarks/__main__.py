"""`python -m tests.benchmarks`: `command` does it, once what it needs is there."""

from __future__ import annotations

import importlib.util
import sys


def main() -> int:
    """Run the harness; returns the exit status."""
    if importlib.util.find_spec("psutil") is None:
        print('benchmarks: psutil is not installed: pip install -e ".[bench]"', file=sys.stderr)
        return 1
    from tests.benchmarks import command

    return command.main()


if __name__ == "__main__":
    sys.exit(main())
