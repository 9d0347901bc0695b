"""A page of the pictures that a model got most wrong, everything in one HTML file."""

from __future__ import annotations

import base64
import html
from pathlib import Path

import numpy as np

from livepose import skeleton
from livepose.cv import cv2
from livepose.data.samples import Samples, torso
from livepose.drawing import draw_skeleton, fit

_SIDE = 360
_STYLE = """body{font:14px system-ui;background:#16191f;color:#e6e9ee;margin:24px}
main{display:flex;flex-wrap:wrap;gap:16px}figure{margin:0;background:#20252d;border-radius:8px;
padding:8px}img{display:block;border-radius:4px}figcaption{padding:6px 2px 0;max-width:720px}"""


def write_gallery(
    file: Path, samples: Samples, points: np.ndarray, confidence: np.ndarray, count: int = 40
) -> None:
    """The `count` worst pictures, by the number of wrong limb joints and then the mean error.

    Each shows the labels on the left and the prediction on the right.

    Args:
        points: (N, J, 2 or more) pixels. confidence: (N, J).
    """
    i = skeleton.indices(skeleton.LIMBS)
    error = np.linalg.norm(points[:, i, :2] - samples.joints[:, i], axis=-1)
    error = np.nan_to_num(error / torso(samples.joints, samples.known)[:, None], nan=9)
    counts = samples.known[:, i]
    wrong = ((error > 0.2) & counts).sum(1)
    mean = np.where(counts, np.minimum(error, 3), 0).sum(1) / np.maximum(1, counts.sum(1))
    figures = []
    for n in np.lexsort((-mean, -wrong))[:count]:
        image = cv2.imread(str(samples.images[n]), cv2.IMREAD_COLOR)
        if image is None or not wrong[n]:
            continue
        sides = []
        shown = ((samples.joints[n], samples.known[n] * 1.0), (points[n, :, :2], confidence[n]))
        for joints, sure in shown:
            tile, at = fit(image, np.nan_to_num(joints), _SIDE)
            draw_skeleton(tile, at, sure)
            sides.append(tile)
        jpeg = cv2.imencode(".jpg", np.hstack(sides), [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
        data = base64.b64encode(jpeg.tobytes()).decode()
        names = ", ".join(
            f"{skeleton.LIMBS[k].replace('_', ' ')} ({error[n, k]:.2f})"
            for k in np.flatnonzero((error[n] > 0.2) & counts[n])
        )
        title = html.escape(samples.images[n].name)
        figures.append(
            f'<figure><img src="data:image/jpeg;base64,{data}" alt="{title}">'
            f"<figcaption><b>{title}</b>: {html.escape(names)}</figcaption></figure>"
        )
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Worst of {samples.name}'
        f"</title><style>{_STYLE}</style><h1>{len(figures)} worst of {len(samples)} pictures of "
        f"{samples.name}</h1><p>Left the labels, right the prediction; in brackets the error in "
        f"torsos.</p><main>{''.join(figures)}</main></html>"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, encoding="utf-8")
