"""`landmarks score retrieval`: figures of a retrieval submission, public and private."""

from rich.console import Console

from landmarks.cli.endings import named_endings
from landmarks.cli.score.figures import AsJson, SolutionPath, SubmissionPath, print_figures


def retrieval(solution: SolutionPath, submission: SubmissionPath, as_json: AsJson = False) -> None:
    """Print mAP@100 and its companions for a retrieval submission."""
    from landmarks.metrics import read_retrieval_solution, read_retrieval_submission, score_retrieval

    with named_endings(Console(stderr=True)):
        truth = read_retrieval_solution(solution)
        figures = score_retrieval(truth, read_retrieval_submission(submission, truth))
    print_figures(figures, "Retrieval", as_json)
