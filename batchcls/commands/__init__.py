"""What each command does, given the settings. One module for each."""
