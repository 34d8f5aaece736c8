"""What HTML a text contains, as a browser reads it."""

from html.parser import HTMLParser


class Markup(HTMLParser):
    """The tags, their attributes and the texts between them, each in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Adds a tag."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Adds a text."""
        self.texts.append(data)
