"""How fast this project is beside what else one would write, and beside what could be had at best.

``python -m benchmarks`` measures it; README.md says what.
"""
