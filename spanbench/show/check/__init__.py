"""Where people see a check of a baseline: tables, GitHub's annotations and job summary, and a chart's data."""
