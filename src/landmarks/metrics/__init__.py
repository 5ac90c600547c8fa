"""mAP@100, GAP and their companions; the official solution and submission files.

The torchmetrics classes are in `landmarks.metrics.streaming` and are not imported here, so that scoring a
file does not wait for torch.
"""

from landmarks.errors import FormatError
from landmarks.metrics.recognition import correctness, global_average_precision, score_recognition
from landmarks.metrics.retrieval import (
    average_precision,
    first_correct_position,
    precision_at,
    relevance,
    retrieval_figures,
    score_retrieval,
    submission_relevance,
)
from landmarks.metrics.solution_files import (
    read_recognition_solution,
    read_retrieval_solution,
    write_recognition_solution,
    write_retrieval_solution,
)
from landmarks.metrics.solutions import RecognitionSolution, RetrievalSolution
from landmarks.metrics.submissions import (
    RecognitionSubmission,
    RetrievalSubmission,
    read_recognition_submission,
    read_retrieval_submission,
    write_recognition_submission,
    write_retrieval_submission,
)

__all__ = [
    "FormatError",
    "RecognitionSolution",
    "RecognitionSubmission",
    "RetrievalSolution",
    "RetrievalSubmission",
    "average_precision",
    "correctness",
    "first_correct_position",
    "global_average_precision",
    "precision_at",
    "read_recognition_solution",
    "read_recognition_submission",
    "read_retrieval_solution",
    "read_retrieval_submission",
    "relevance",
    "retrieval_figures",
    "score_recognition",
    "score_retrieval",
    "submission_relevance",
    "write_recognition_solution",
    "write_recognition_submission",
    "write_retrieval_solution",
    "write_retrieval_submission",
]
