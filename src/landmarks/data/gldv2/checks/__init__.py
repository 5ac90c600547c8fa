"""Is a copy of Google Landmarks v2 sound? Its tables against each other, against its pictures, and every picture."""
