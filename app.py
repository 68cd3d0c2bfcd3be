"""Open PSR Studio in the browser: `python app.py --workspace runs/first --port 7861`."""

import sys

from psr_studio.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["app", *sys.argv[1:]]))
