"""What a run of millions of images meets before the images themselves: names, rows, tasks.

``python -m benchmarks.scale`` measures each on its own; docs/scale.md says what follows of it.
"""
