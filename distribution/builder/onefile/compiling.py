"""Compiles a tree of Python modules; run by the Python that is going to import them, with no package at all.

``python compiling.py ROOT stripped`` puts ``x.pyc`` in place of ``x.py``, without docstrings: they are a tenth of what
others wrote, and nothing reads them. ``whole`` keeps them: the command line's help is made of rke2's own. Paths in it
are relative to ROOT, and nothing else of the machine is in it.
"""

import py_compile
import sys
from pathlib import Path


def compile_tree(root: Path, stripped: bool) -> None:
    for source in sorted(root.rglob("*.py")):
        py_compile.compile(
            str(source),
            cfile=str(source.with_suffix(".pyc")),
            dfile=str(source.relative_to(root)),
            doraise=True,
            optimize=2 if stripped else 0,
            # There is no source that it could be compared with (PEP 552).
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        source.unlink()


if __name__ == "__main__":
    compile_tree(Path(sys.argv[1]), sys.argv[2] == "stripped")
