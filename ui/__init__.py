"""The web application: one file a page; every word on screen in strings.yaml."""
