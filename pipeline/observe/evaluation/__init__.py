"""What people see of an evaluation: lines for a terminal, and what a page of its own and a job's report show of it."""
