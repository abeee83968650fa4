"""A language server whose model has learned nothing, so that what it completes is what the project says."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from coder import untaught

from septet.serve import editor

editor.server(untaught(), floor=0.0).start_io()
