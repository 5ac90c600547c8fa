from .boxes import Detections as Detections
from .boxes import FoundObjects as FoundObjects
from .classes import DetectionClasses as DetectionClasses
from .classes import read_classes as read_classes
from .files import DetectionProtocol as DetectionProtocol
from .files import read_boxes as read_boxes
from .files import read_detections as read_detections
from .files import read_images as read_images
