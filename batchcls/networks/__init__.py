"""Networks as featurizers: reading, converting and running them. Knows no network by name."""
