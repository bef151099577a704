"""Downloading a file: resumable, verified, never half."""
