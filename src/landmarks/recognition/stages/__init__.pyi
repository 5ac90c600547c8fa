from .calibration import ConfidenceCalibration as ConfidenceCalibration
from .calibration import LogisticRegression as LogisticRegression
from .calibration import with_confidence as with_confidence
from .classifier import ClassifierJoin as ClassifierJoin
from .detector_filter import NonLandmarkFilter as NonLandmarkFilter
from .distractors import DistractorPush as DistractorPush
from .verification import NeighbourVerification as NeighbourVerification
from .votes import NeighbourVotes as NeighbourVotes
