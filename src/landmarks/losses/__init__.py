"""What the descriptors are trained with, one loss a file."""

from landmarks.losses.arcmargin import ArcMargin
from landmarks.losses.class_head import ClassHead
from landmarks.losses.margin_head import MarginHead
from landmarks.losses.npairs import NPairs
from landmarks.losses.softmax import Softmax

__all__ = ["ArcMargin", "ClassHead", "MarginHead", "NPairs", "Softmax"]
