"""From a large train set with wrong labels to a smaller one with few: which pictures of a landmark agree."""
