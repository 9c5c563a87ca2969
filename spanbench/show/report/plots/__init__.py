"""What a report draws, as data: curves, bars, guides, and the words around them."""
