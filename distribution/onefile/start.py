"""The first lines of rke2 in the one file; `distribution/components/onefile` starts Python with them."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":  # a child of `multiprocessing` reads this, too
    # Held while rke2 runs, so that nobody removes what it runs from; not by what it starts or becomes.
    os.set_inheritable(int(sys._xoptions["lock"]), False)

    from rke2.cli import main

    raise SystemExit(main())
