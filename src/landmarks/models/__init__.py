"""From a picture to its descriptor: backbones, pooling, the descriptor layer and their weights."""
