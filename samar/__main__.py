"""``python -m samar``: see :mod:`samar.cli`."""

import sys

from samar.cli import main

if __name__ == "__main__":
    sys.exit(main())
