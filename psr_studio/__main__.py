"""`python -m psr_studio` is `psr-studio`."""

import sys

from psr_studio.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
