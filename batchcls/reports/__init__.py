"""Report: predictions → a file. One module for each format."""
