"""How YAML becomes a checked configuration: where configs lie, what they may hold, who is asked for values."""
