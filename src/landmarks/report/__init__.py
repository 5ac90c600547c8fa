"""What people look at: tables, curves, sample results, and the page of a run."""
