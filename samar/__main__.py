"""``python -m samar``: see :mod:`samar.cli`."""

import sys

try:
    from samar.cli import main
except KeyboardInterrupt:
    print("Cancelled.", file=sys.stderr)
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
