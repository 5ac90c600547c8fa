"""The stages of a recognition pipeline, from the search in the train images to the calibrated confidence."""
