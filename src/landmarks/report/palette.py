"""Defines every colour of pages, plots and image sheets, as 8-bit RGB."""

from collections.abc import Mapping

Colour = tuple[int, int, int]

INK: Colour = (43, 47, 54)  # text
GREY: Colour = (106, 112, 123)  # secondary text
PAPER: Colour = (255, 255, 255)  # background
MAT: Colour = (240, 241, 244)  # behind images and code
RULE: Colour = (217, 220, 225)  # thin lines
LINK: Colour = (11, 98, 168)

RIGHT: Colour = (32, 128, 74)  # correct results and improvements
WRONG: Colour = (200, 54, 54)  # wrong results and deteriorations
NEUTRAL: Colour = (150, 156, 166)  # results that cannot be judged
PALE: Colour = (205, 208, 214)

BOX: Colour = (250, 190, 40)  # boxes of detected objects
# Colours of object classes: distinct from each other and from most images, and dark enough for white text.
CLASS_COLOURS: tuple[Colour, ...] = (
    (0, 92, 175), (196, 62, 0), (0, 120, 80), (150, 40, 130), (120, 85, 0), (0, 110, 130), (190, 20, 70), (80, 70, 190),
    (70, 100, 20), (130, 60, 50), (60, 60, 70), (170, 70, 0),
)  # fmt: skip
# Colours of attention, from none to most, ever lighter, so that they are distinguishable without hue.
HEAT: tuple[Colour, ...] = ((22, 20, 60), (110, 30, 110), (200, 60, 70), (245, 140, 40), (252, 230, 140))
# Colours of curves: Okabe and Ito's palette, distinguishable with every kind of colour vision.
CURVES: tuple[Colour, ...] = (
    (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233),
)  # fmt: skip


def css(colour: Colour) -> str:
    """Format a colour for CSS and matplotlib."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def css_colours() -> Mapping[str, str]:
    """Return the single colours for the style of pages, by their names in lower case."""
    named = {"ink": INK, "grey": GREY, "paper": PAPER, "mat": MAT, "rule": RULE, "link": LINK}
    return {name: css(colour) for name, colour in {**named, "right": RIGHT, "wrong": WRONG}.items()}
