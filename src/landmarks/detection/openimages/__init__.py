"""Open Images V4: pictures with boxes, classes in a hierarchy, and batches for a detector."""
