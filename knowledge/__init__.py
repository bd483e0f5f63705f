"""The curated knowledge base: Markdown and YAML, read with ``importlib.resources``."""
