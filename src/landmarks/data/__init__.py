"""Where images and labels come from: tables, stores, splits, samplers, decoding and augmentation."""

import os

# albumentations asks a server for its newest version when it is imported; a cluster node must not wait for
# that.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
