"""The pipelines, each a program of its own: a folder of photographs in, a CSV of labels out.

    python -m benchmarks.pipelines.NAME FOLDER OUT.csv --network NETWORK

The last line that each prints is how long it took without starting up.
"""
