"""The commands; everything they do lives elsewhere."""

import landmarks.api  # noqa: F401 - says how torch's threads wait, before anything imports torch
