"""``python -m rke2`` is the same program as ``rke2``."""

from rke2.cli import main

raise SystemExit(main())
