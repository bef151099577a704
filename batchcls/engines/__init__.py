"""Where the work happens: threads of this machine, or a Dask cluster."""
