"""Pictures drawn: SVG by our own writer, PNG by matplotlib."""
