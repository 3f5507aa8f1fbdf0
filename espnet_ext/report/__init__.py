"""One self-contained HTML page, and a summary for machines, of what a recipe or a job has done."""
