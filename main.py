"""Starts livepose from a checkout: ``python main.py`` is ``livepose``."""

import sys

from livepose.cli import entry

if __name__ == "__main__":
    sys.exit(entry())
