"""Two versions of a project timed side by side: a commit of it (the base), and its working tree (the head)."""
