from .source import PhotoFolder as PhotoFolder
from .split import INDEX as INDEX
from .split import QUERY as QUERY
from .split import TRAIN as TRAIN
from .split import SplitPhotos as SplitPhotos
from .split import split_photos as split_photos
