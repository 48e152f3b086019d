"""``python -m pyconvex`` is the command ``pyconvex``."""

import sys

from pyconvex.cli import main

sys.exit(main())
