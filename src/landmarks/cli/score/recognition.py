"""`landmarks score recognition`: figures of a recognition submission, public and private."""

from rich.console import Console

from landmarks.cli.endings import named_endings
from landmarks.cli.score.figures import AsJson, SolutionPath, SubmissionPath, print_figures


def recognition(solution: SolutionPath, submission: SubmissionPath, as_json: AsJson = False) -> None:
    """Print GAP and its companions for a recognition submission."""
    from landmarks.metrics import read_recognition_solution, read_recognition_submission, score_recognition

    with named_endings(Console(stderr=True)):
        truth = read_recognition_solution(solution)
        figures = score_recognition(truth, read_recognition_submission(submission, truth))
    print_figures(figures, "Recognition", as_json)
