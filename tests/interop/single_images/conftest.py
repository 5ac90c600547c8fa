from image_models import classifier, retrieval  # noqa: F401
