from picture_models import classifier, retrieval  # noqa: F401
