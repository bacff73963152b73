"""Names of classes as a figure can show them: in words, short, each unlike the others, in letters that a font has."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from matplotlib import font_manager

from alexnet2012.class_names import name_classes
from alexnet2012.reporting.figures.style import FONT

LAST_RESORT = "Last Resort High-Efficiency"  # matplotlib's own font of boxes
REGULAR = 400  # a weight
SPACE = "␣"


@dataclass(frozen=True)
class Lettering:
    """Names in the order of the classes, the fonts that have their letters, and the letters that no font has, which the
    names spell as Python does: \\u732b."""

    names: list[str]
    fonts: list[str]
    missing: str


def letter(classes: Sequence[str], room: int) -> Lettering:
    """`room`: how many letters a name may have, East Asian ones counting twice."""
    names = name_classes(classes)
    letters = {each for name in names for each in name if each.isprintable()}
    fonts, missing = find_fonts(letters)
    return Lettering(shorten([spell(name, missing) for name in names], room), fonts, "".join(sorted(missing)))


def find_fonts(letters: set[str]) -> tuple[list[str], set[str]]:
    """The figures' own font and installed ones for what it lacks, and the letters that none has."""
    fonts, missing = [FONT], set(letters)
    upright = [each for each in font_manager.fontManager.ttflist if each.style == "normal"]
    upright.sort(key=lambda font: font.weight == REGULAR)  # of a name the last stays; bold faces have fewer letters
    installed = {each.name: each.fname for each in upright}
    for name in [FONT, *sorted(installed.keys() - {FONT, LAST_RESORT})]:
        if missing and (found := missing & list_letters(installed[name])):
            fonts = list(dict.fromkeys([*fonts, name]))
            missing -= found
    return fonts, missing


def list_letters(path: str) -> set[str]:
    """The letters that a font has; none of a font of bitmaps, which matplotlib does not draw."""
    try:
        return set(map(chr, font_manager.get_font(path).get_charmap()))
    except (RuntimeError, OSError):
        return set()


def spell(name: str, missing: set[str]) -> str:
    """The name with spaces at its ends shown, and with what cannot be shown in Python's spelling."""
    inner = name.strip(" ")
    start = len(name) - len(name.lstrip(" "))
    shown = SPACE * start + inner + SPACE * (len(name) - start - len(inner))
    return "".join(
        each if each.isprintable() and each not in missing else each.encode("unicode_escape").decode() for each in shown
    )


def shorten(names: Sequence[str], room: int) -> list[str]:
    """Names of at most `room` letters, each unlike the others: the first synonym, else the whole, cut where it is long:
    at the end, else in the middle, else with the number of the class."""
    ways = [list_ways(index, name, room) for index, name in enumerate(names)]
    chosen = [0] * len(names)
    while True:
        shown = [way[choice] for way, choice in zip(ways, chosen, strict=True)]
        counts = Counter(shown)
        alike = [k for k, name in enumerate(shown) if counts[name] > 1 and chosen[k] + 1 < len(ways[k])]
        if not alike:
            return shown
        for k in alike:
            chosen[k] += 1


def list_ways(index: int, name: str, room: int) -> list[str]:
    first = name.split(", ")[0] or name
    return [
        cut_name(first, room),
        cut_name(name, room),
        cut_name(name, room, tail=room // 2),
        cut_name(name, room, end=f" #{index}"),
    ]


def cut_name(name: str, room: int, tail: int = 0, end: str = "") -> str:
    """As much of a name's beginning, and of `tail` letters of its end, as there is room for before `end`."""
    if width(name + end) <= room:
        return name + end
    last = end
    for letter_before in reversed(name) if tail else ():
        if width(letter_before + last) > tail:
            break
        last = letter_before + last
    first = ""
    for each in name:
        if width(f"{first}{each}…{last}") > room:
            break
        first += each
    return f"{first}…{last}"


def width(text: str) -> int:
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in text)
