"""The network that this project ships as int8, in float32, for the other pipelines.

All three are made of the same published weights, which ``scripts/efficientnet_lite0`` reads.
"""
