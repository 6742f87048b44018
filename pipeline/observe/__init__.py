"""What people and scripts see of a job: progress while it runs, status and exports when they ask."""
