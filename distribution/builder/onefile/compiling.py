"""Compiles a tree of Python modules; run by the Python that is going to import them, with no package at all.

``python compiling.py ROOT sourceless`` puts ``x.pyc`` in place of ``x.py``; ``cached`` puts it into
``__pycache__``. What is compiled is never compared with its source again (PEP 552, unchecked): it cannot change. Paths
in it are relative to ROOT, and nothing else of the machine is in it.
"""

import importlib.util
import py_compile
import sys
from pathlib import Path


def compile_tree(root: Path, sourceless: bool) -> None:
    for source in sorted(root.rglob("*.py")):
        target = (
            source.with_suffix(".pyc") if sourceless else Path(importlib.util.cache_from_source(str(source)))
        )
        py_compile.compile(
            str(source),
            cfile=str(target),
            dfile=str(source.relative_to(root)),
            doraise=True,
            # Sourceless is what others wrote: its docstrings are a tenth of it, and nothing reads them.
            optimize=2 if sourceless else 0,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        if sourceless:
            source.unlink()


if __name__ == "__main__":
    compile_tree(Path(sys.argv[1]), sys.argv[2] == "sourceless")
