"""Experiments in landmark retrieval and recognition: train, search, re-rank, score."""

from . import data as data
from . import losses as losses
from . import metrics as metrics
from . import models as models
from . import recognition as recognition
from . import retrieval as retrieval
from .api import Hit as Hit
from .api import ImageSearch as ImageSearch
from .api import Model as Model
from .api import Run as Run
from .api import Transform as Transform
from .api import classify as classify
from .api import clean_gldv2 as clean_gldv2
from .api import detect as detect
from .api import download_gldv2 as download_gldv2
from .api import evaluate as evaluate
from .api import export as export
from .api import extract as extract
from .api import gldv2_statistics as gldv2_statistics
from .api import global_average_precision as global_average_precision
from .api import heatmap as heatmap
from .api import import_paddle as import_paddle
from .api import index_gldv2 as index_gldv2
from .api import join_descriptors as join_descriptors
from .api import load_model as load_model
from .api import mean_average_precision as mean_average_precision
from .api import open_descriptors as open_descriptors
from .api import read_leaderboard as read_leaderboard
from .api import rerank as rerank
from .api import score_detection as score_detection
from .api import score_recognition as score_recognition
from .api import score_retrieval as score_retrieval
from .api import search as search
from .api import search_images as search_images
from .api import similarity as similarity
from .api import train as train
from .api import verify_gldv2 as verify_gldv2
from .api import whiten_descriptors as whiten_descriptors
from .errors import LandmarksError as LandmarksError
from .models import read_record as read_record
from .report import plot_matches as plot_matches
from .report import plot_neighbours as plot_neighbours
from .retrieval import DescriptorSet as DescriptorSet
from .retrieval import Ranking as Ranking

__version__: str
