"""The machine underneath: its kernel's files, control groups, memory."""
