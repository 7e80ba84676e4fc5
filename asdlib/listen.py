"""Players: sound in, an element that plays it without a kernel or a network out."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping

import numpy as np
import soundfile
from IPython.display import HTML
from jaxtyping import Float

_LEVEL = 0.08  # root mean square of every player, so that the ear compares sound and not loudness
_PEAK = 0.98


def players(sounds: Mapping[str, Float[np.ndarray, " sample"]], sample_rate: int) -> HTML:
    """One labelled audio element per sound, level-matched and lossless (FLAC).

    Parameters
    ----------
    sounds : label to signal.
    sample_rate : Hz.
    """
    items = "".join(
        f"<div class='asd-player'><span>{html.escape(label)}</span>{_audio(x, sample_rate, label)}"
        "</div>"
        for label, x in sounds.items()
    )
    return HTML(f"<div class='asd-players'>{items}</div>")


def match_level(signal: Float[np.ndarray, " sample"]) -> Float[np.ndarray, " sample"]:
    """Scale to a common level; less where it would clip. Silence stays silence."""
    rms = np.sqrt(np.mean(np.square(signal, dtype=np.float64)))
    if rms == 0:
        return signal
    return signal * min(_LEVEL / rms, _PEAK / np.abs(signal).max())


def _audio(signal: np.ndarray, sample_rate: int, label: str) -> str:
    buffer = io.BytesIO()
    soundfile.write(buffer, match_level(signal), sample_rate, format="FLAC", subtype="PCM_16")
    data = base64.b64encode(buffer.getvalue()).decode()
    name = html.escape(label, quote=True)
    source = f"data:audio/flac;base64,{data}"
    return f'<audio controls preload="metadata" aria-label="{name}" src="{source}"></audio>'
