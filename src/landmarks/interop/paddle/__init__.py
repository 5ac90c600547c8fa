"""Weights that PaddlePaddle's Fluid saved, read without that framework."""
