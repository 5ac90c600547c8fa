"""The commands: options and output only; the work is done by the other packages."""

import landmarks.api  # noqa: F401 - sets how torch's threads wait, before anything imports torch
