"""What rowcall decides, without a clock, chance or I/O: types, policies, tallies and the seams between the other packages."""
