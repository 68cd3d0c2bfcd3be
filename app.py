"""Open PSR Studio in the browser: `python app.py --workspace runs/first --port 7861`."""

import sys

from psr_studio.ui.launch import main

if __name__ == "__main__":
    sys.exit(main())
