"""The store: what is known of files from earlier runs, so that nothing is computed twice.

A file's identity leads to the digest of its content, a content to its features (by what computes
them) and to its prediction (by the model). It is a cache: whatever it holds, or can't hold, a
report is the same.
"""
