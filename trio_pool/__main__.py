"""`python -m trio_pool` is the command `trio-pool`."""

from trio_pool.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
