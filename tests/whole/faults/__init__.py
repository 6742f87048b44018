"""What faults do to whole jobs: each figure is tried with the real command, and printed beside its goal."""
