"""Tileable fractal noise: stone, clouds, grass and water are all made from it.

Noise with a power-law spectrum is drawn in the Fourier domain, so it tiles without a seam.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=32)
def fractal(seed: int, size: int = 256, roughness: float = 2.0) -> NDArray[np.float32]:
    """Noise in [0, 1], float32 [size, size], that tiles; a greater `roughness` exponent is smoother."""
    rng = np.random.default_rng([seed, size])
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = 1.0
    spectrum = rng.standard_normal(frequency.shape) + 1j * rng.standard_normal(frequency.shape)
    spectrum *= frequency ** (-roughness / 2 - 0.5)
    spectrum[0, 0] = 0.0
    field = np.fft.irfft2(spectrum, s=(size, size))
    low, high = np.percentile(field, [0.5, 99.5])
    result = np.clip((field - low) / (high - low), 0, 1).astype(np.float32)
    result.flags.writeable = False
    return result


def patch(rng: np.random.Generator, rows: int, cols: int, roughness: float = 2.0) -> NDArray[np.float32]:
    """A [rows, cols] piece of one of a few shared noise fields, at a random place."""
    field = fractal(int(rng.integers(4)), 512, roughness)
    y, x = rng.integers(512, size=2)
    return field[np.ix_((y + np.arange(rows)) % 512, (x + np.arange(cols)) % 512)]
