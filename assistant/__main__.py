"""``python -m assistant`` is the command ``mentoring``."""

import sys

from assistant.cli import main

sys.exit(main())
