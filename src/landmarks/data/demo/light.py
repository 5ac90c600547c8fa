"""The light of one moment: where the sun stands, what colours it and the sky have, and the weather.

All colours are linear (before gamma).
"""

from dataclasses import dataclass, replace

import numpy as np

from landmarks.data.demo.camera import Floats

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """Sun, sky and weather.

    Attributes:
        sun: unit vector towards the sun, or towards the floodlights at night [3].
        sunlight, skylight: what sun and sky bring to a white surface.
        zenith, horizon: colours of the sky above and at its edge.
        lamps: 0 by day, 1 when all windows are lit.
        clouds: share of the sky that is clouded.
        haze: fog density in 1/metre.
        shadows: strength of cast shadows.
        rain: streaks, 0..1.
        snow: whether it lies on ground and roofs.
        snowfall: flakes in the air, 0..1.
    """

    sun: Floats
    sunlight: RGB
    skylight: RGB
    zenith: RGB
    horizon: RGB
    lamps: float = 0.0
    clouds: float = 0.3
    haze: float = 0.0004
    shadows: float = 1.0
    rain: float = 0.0
    snow: bool = False
    snowfall: float = 0.0


MOMENTS: dict[str, float] = {
    "clear": 0.50, "cloudy": 0.20, "overcast": 0.10, "golden": 0.08, "dusk": 0.03, "night": 0.03,
    "fog": 0.02, "rain": 0.02, "snow": 0.02,
}  # fmt: skip


def towards(azimuth: float, elevation: float) -> Floats:
    """Unit vector for an azimuth (radians from east) and an elevation (radians)."""
    return np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])


def draw_light(rng: np.random.Generator, behind: float, moment: str | None = None) -> Light:
    """A random moment.

    Args:
        rng: source of chance.
        behind: azimuth from the subject to the camera; the sun mostly stands on the photographer's side.
        moment: a key of MOMENTS; drawn by their shares if None.
    """
    if moment is None:
        moment = str(rng.choice(list(MOMENTS), p=list(MOMENTS.values())))
    azimuth = behind + rng.normal(0, 0.75)
    high = np.radians(rng.uniform(25, 62))
    clear = Light(
        sun=towards(azimuth, high),
        sunlight=(1.55, 1.42, 1.20),
        skylight=(0.25, 0.31, 0.40),
        zenith=(0.14, 0.33, 0.75),
        horizon=(0.62, 0.78, 0.92),
        clouds=rng.uniform(0.0, 0.35),
    )
    if moment == "clear":
        return clear
    if moment == "cloudy":
        return replace(clear, sunlight=(1.1, 1.03, 0.92), skylight=(0.4, 0.43, 0.47), clouds=rng.uniform(0.4, 0.75))
    if moment == "golden":
        return replace(
            clear,
            sun=towards(azimuth, np.radians(rng.uniform(10, 20))),
            sunlight=(1.6, 1.0, 0.48),
            skylight=(0.26, 0.27, 0.36),
            zenith=(0.16, 0.25, 0.48),
            horizon=(0.92, 0.66, 0.42),
            lamps=0.08,
            haze=0.0012,
        )
    if moment == "dusk":
        return replace(
            clear,
            sun=towards(azimuth + np.pi, np.radians(4)),
            sunlight=(0.35, 0.16, 0.12),
            skylight=(0.20, 0.19, 0.27),
            zenith=(0.06, 0.07, 0.20),
            horizon=(0.75, 0.36, 0.24),
            lamps=0.5,
            haze=0.001,
            shadows=0.3,
        )
    if moment == "night":
        return replace(
            clear,
            sun=towards(behind + rng.normal(0, 0.3), np.radians(8)),
            sunlight=(0.42, 0.30, 0.16),
            skylight=(0.035, 0.04, 0.06),
            zenith=(0.006, 0.008, 0.025),
            horizon=(0.035, 0.03, 0.05),
            lamps=0.75,
            shadows=0.0,
        )
    grey = replace(
        clear,
        sunlight=(0.16, 0.16, 0.16),
        skylight=(0.72, 0.74, 0.78),
        zenith=(0.50, 0.53, 0.58),
        horizon=(0.70, 0.71, 0.73),
        clouds=rng.uniform(0.75, 1.0),
        haze=0.0015,
        shadows=0.0,
    )
    if moment == "overcast":
        return grey
    if moment == "fog":
        return replace(grey, haze=rng.uniform(0.003, 0.007), clouds=0.2)
    if moment == "rain":
        return replace(grey, skylight=(0.5, 0.53, 0.58), zenith=(0.3, 0.33, 0.38), horizon=(0.45, 0.47, 0.5),
                       lamps=0.25, rain=rng.uniform(0.4, 1.0), haze=0.003)  # fmt: skip
    return replace(grey, snow=True, snowfall=float(rng.choice([0.0, 0.5, 1.0])), haze=0.0025)
