"""The tables of results by query that an evaluation writes and a comparison reads: their names and columns."""

import polars as pl

RETRIEVAL_QUERIES = "queries/retrieval.csv"
"""Table of retrieval, in the folder of a run."""
RECOGNITION_QUERIES = "queries/recognition.csv"
"""Table of recognition, in the folder of a run."""

# Queries of one landmark have the same number; the ranks of correct images, from 1, have spaces between.
RETRIEVAL_COLUMNS = {
    "id": pl.String,
    "split": pl.String,
    "landmark": pl.Int64,
    "correct_images": pl.Int64,
    "ap@100": pl.Float64,
    "correct_ranks": pl.String,
}
# `landmarks` is what the image shows, with spaces between; `answer` and `score` are empty where there is no answer.
RECOGNITION_COLUMNS = {
    "id": pl.String,
    "split": pl.String,
    "landmarks": pl.String,
    "answer": pl.Int64,
    "score": pl.Float64,
    "correct": pl.Boolean,
}
