from .extractor import LocalFeatures as LocalFeatures
from .rootsift import DIM as DIM
from .rootsift import QUANTUM as QUANTUM
from .rootsift import RootSift as RootSift
