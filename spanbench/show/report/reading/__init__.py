"""Lines of records become digests: what a report keeps of each."""
