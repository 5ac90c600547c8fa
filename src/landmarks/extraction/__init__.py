"""From images to descriptors on disk, on any number of devices, resumable."""
