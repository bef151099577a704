"""Where the work happens. For now: this machine."""
