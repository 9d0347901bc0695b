import sys

from livepose.cli import entry

sys.exit(entry())
