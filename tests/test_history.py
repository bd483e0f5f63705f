"""What keeps coming back, from stored reports alone: never on fewer than two texts, never what was put aside."""

from __future__ import annotations

from assistant.history import LEAST, QUOTED, STRENGTH, Past, past, recurring


def texts(*found: str, dismissed: dict[int, str] | None = None):
    """Return readings day by day; each string names the theme found that day, or nothing."""
    return [
        Past(
            f"r{day}",
            f"2026-05-{day + 1:02d}T08:00:00",
            {theme: (f"{theme} on day {day}",) for theme in name.split()},
            frozenset(dismissed[day].split()) if dismissed and day in dismissed else frozenset(),
        )
        for day, name in enumerate(found)
    ]


def told(readings) -> dict[str, str]:
    return {item.theme: item.state for item in recurring(readings)}


def test_once_is_no_pattern():
    assert LEAST == 2
    assert told(texts("doubt", "", "", "")) == {}
    assert told(texts()) == {}
    assert told(texts("doubt", "", "", "doubt")) == {"doubt": "back"}


def test_what_faded_and_what_is_new():
    assert told(texts("doubt", "doubt", "", "")) == {"doubt": "faded"}
    assert told(texts("doubt", "", "doubt", "")) == {"doubt": "back"}
    assert told(texts("", "", "", "goals", "goals")) == {"goals": "new"}
    assert told(texts("", "goals", "goals")) == {"goals": "back"}  # too few texts before it to call it new
    both = texts("doubt", "doubt", "", "goals", "", "goals")
    assert told(both) == {"goals": "new", "doubt": "faded"}
    assert [item.theme for item in recurring(both)] == ["goals", "doubt"]


def test_the_order_in_which_texts_are_given_changes_nothing():
    readings = texts("doubt", "doubt goals", "goals", "")
    assert recurring(list(reversed(readings))) == recurring(readings)


def test_words_and_days_stand_on_both_sides_newest_first():
    found = recurring(texts("doubt", f"doubt {STRENGTH}", "doubt", STRENGTH, "doubt", ""))
    doubt = next(item for item in found if item.theme == "doubt")
    assert (doubt.found, doubt.among) == (4, 6)
    assert [words.reflection for words in doubt.speaks_for] == ["r4", "r2", "r1"][:QUOTED]
    assert doubt.speaks_for[0].quotes == ("doubt on day 4",)
    assert [words.reflection for words in doubt.went_well] == ["r3", "r1"]
    assert doubt.went_well[0].quotes == (f"{STRENGTH} on day 3",)
    assert [(words.reflection, words.quotes) for words in doubt.without] == [("r5", ()), ("r3", ())]
    strength = next(item for item in found if item.theme == STRENGTH)
    assert strength.went_well == () and len(strength.without) == QUOTED


def test_a_strength_that_the_writer_denied_speaks_for_nothing():
    [doubt] = recurring(texts("doubt", f"doubt {STRENGTH}", dismissed={1: STRENGTH}))
    assert doubt.went_well == doubt.without == ()


def test_each_not_it_takes_a_text_away():
    assert told(texts("doubt", "doubt", "doubt", dismissed={0: "doubt"})) == {}
    assert told(texts("doubt", "doubt", "doubt", "doubt", dismissed={0: "doubt"})) == {"doubt": "back"}
    assert told(texts("doubt", "doubt", "goals goals", dismissed={2: "doubt"})) == {}
    everywhere = dict.fromkeys(range(4), "doubt")
    assert told(texts("doubt", "doubt", "doubt", "doubt", dismissed=everywhere)) == {}


def test_a_stored_report_gives_its_themes_and_words() -> None:
    row = {"id": "r", "created": "2026-05-01T08:00:00"}
    theme = {"id": "doubt", "score": 0.8, "evidence": [{"start": 0, "end": 15, "text": "I presented it."}]}
    report = {"text": "I presented it.", "themes": [theme]}
    assert past(row, report, ["goals"]) == Past(
        "r", row["created"], {"doubt": ("I presented it.",)}, frozenset({"goals"})
    )
