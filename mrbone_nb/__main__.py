"""``python -m mrbone_nb`` is ``mrbone``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
