"""The async shell: sends rows, bounded in number, bytes and pace, until each has one recorded outcome or the run is stopped."""
