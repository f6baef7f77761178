"""Check that the figures of executed notebooks are there and show something: ``make notebooks``."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

#: The calls whose cells must show a figure.
DRAWING = ("tfcam.plot(", "plt.show(", ".plot()")


def check(path: Path) -> int:
    """Return the number of figures of a notebook; raise AssertionError where one is missing or empty."""
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    drawing = [cell for cell in cells if any(call in "".join(cell["source"]) for call in DRAWING)]
    assert drawing, f"{path.name} draws nothing"
    for cell in drawing:
        figures = [output["data"]["image/png"] for output in cell["outputs"] if "image/png" in output.get("data", {})]
        assert figures, f"{path.name}: no figure from {''.join(cell['source'])[-200:]!r}"
        for figure in figures:
            with Image.open(io.BytesIO(base64.b64decode(figure))) as picture:
                pixels = np.asarray(picture.convert("RGB"), "float32")
            assert min(pixels.shape[:2]) > 100 and pixels.std() > 20, f"{path.name} has an empty figure"
    return len(drawing)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}: {check(Path(name))} figures")
