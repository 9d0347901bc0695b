"""The window of livepose: PyQt5 around, vispy for the 3D view.

It shows what a session delivers and asks it for what the user wants; it holds nothing that a run
without a window needs. Three layers: plain numpy and dataclasses (`skeleton_mesh`, `standing`,
`notices`, `options`), the adapter of vispy (`scene3d`), and Qt for all the rest.

Importing this package loads neither Qt nor vispy; `livepose.ui.app.run_app` does.
"""

from livepose.ui.display import display_available, display_problem
from livepose.ui.options import AppOptions

__all__ = ["AppOptions", "display_available", "display_problem"]
