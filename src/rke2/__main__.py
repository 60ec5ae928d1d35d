"""``python -m rke2`` is the same program as ``rke2``."""

from rke2.cli import main

if __name__ == "__main__":  # a child of `multiprocessing` imports it, too
    raise SystemExit(main())
