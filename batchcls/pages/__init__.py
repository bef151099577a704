"""Pages: what a run, an evaluation or a comparison found, as one HTML file each.

A page opens from disk, without a network or a server: all that it shows is in it.
"""
