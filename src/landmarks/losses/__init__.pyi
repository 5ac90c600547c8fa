from .arcmargin import ArcMargin as ArcMargin
from .class_head import ClassHead as ClassHead
from .cross_entropy import at_least_float32 as at_least_float32
from .cross_entropy import chunked_cross_entropy as chunked_cross_entropy
from .local import LocalLoss as LocalLoss
from .margin_head import MarginHead as MarginHead
from .npairs import NPairs as NPairs
from .softmax import Softmax as Softmax
