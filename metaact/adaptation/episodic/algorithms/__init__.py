"""Ways to adapt to a task, one a file: what is learned over tasks, and how a step is taken."""
