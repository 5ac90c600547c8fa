"""Rendered pictures with boxes in the layout of Open Images, for a detector to be seen to learn on."""
