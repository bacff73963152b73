"""An HTML page as tests read it: tags with their attributes, and the text within."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "input"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        words = (each if isinstance(each, str) else each.text for each in self.children)
        return " ".join(" ".join(words).split())

    def walk(self):
        yield self
        for each in self.children:
            if isinstance(each, Element):
                yield from each.walk()

    def all(self, tag: str, **attributes: str) -> list["Element"]:
        """The elements of a tag whose attributes are these; `data_claim` stands for data-claim, `of` for class."""
        wanted = {{"of": "class"}.get(key, key.replace("_", "-")): value for key, value in attributes.items()}
        return [
            each
            for each in self.walk()
            if each.tag == tag and all(each.attributes.get(key) == value for key, value in wanted.items())
        ]

    def one(self, tag: str, **attributes: str) -> "Element":
        (found,) = self.all(tag, **attributes)
        return found


class Reader(HTMLParser):
    """Builds the tree, and is strict: every tag that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag, f"</{tag}> at line {self.getpos()[0]} closes another element"

    def handle_data(self, data):
        self.open[-1].children.append(data)


def read_page(text: str) -> Element:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].tag}> is not closed"
    return reader.open[0]
