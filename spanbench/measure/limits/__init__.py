"""What the machine can do at best, and what that leaves of counted work."""
