"""``python -m distribution``: build the components, the images and the airgap archives."""

import sys

from distribution.builder.cli import main

sys.exit(main())
