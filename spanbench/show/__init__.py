"""Everything that is shown: pure functions from records (and plain dataclasses) to text. Nothing here imports torch.

A view builds one `blocks.Page`; `formats.render` prints a page as table, json, csv or markdown.
"""
