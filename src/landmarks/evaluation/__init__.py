"""From descriptors and ground truth to a result: metrics, ablation, submissions and images to look at."""
