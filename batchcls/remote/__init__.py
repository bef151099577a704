"""Images, models and reports that are at a URL: object storage, HTTP, archives, through fsspec."""
