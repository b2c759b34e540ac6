"""Reads a page of HTML as a browser would, and checks that it stands alone."""
import html.parser
import re

VOID = {"meta", "img", "br", "link", "input", "hr"}
NAMESPACE = "http://www.w3.org/2000/svg"


class Page(html.parser.HTMLParser):
    """The page's text by lines, its tags, and whether each one that opens closes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.attributes = [], [], [], []
        self.feed(text)
        self.close()
        if self.open:
            raise ValueError(f"never closed: {self.open}")

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            raise ValueError(f"</{tag}> closes nothing")

    def handle_data(self, data):
        self.texts.append(data)


def stands_alone(text):
    """What in the page would fetch something or run; [] if nothing."""
    page = Page(text)
    bad = [tag for tag in page.tags if tag in ("script", "iframe", "object", "embed", "link")]
    bad += [f"{tag} {name}={value[:40]}" for tag, name, value in page.attributes
            if name.startswith("on") or name in ("src", "href", "xlink:href") and not value.startswith(("data:", "#"))]
    bad += re.findall(r"https?:[^\"'\s<]*", text.replace(NAMESPACE, "")) + re.findall(r"@import|url\((?!data:)", text)
    return bad
