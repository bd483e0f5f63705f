"""An organisation's documents: plain Markdown becomes passages with provenance, a bad file is named with its line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from assistant import cli, knowledge
from assistant.errors import KnowledgeError
from assistant.knowledge import own

DOCUMENT = """# Mentoring at the mill

Every new colleague gets a mentor for the first year. You meet **once a month**, in working time.

You may ask [the office](https://example.org) for another mentor at any time, and you need to give no reason.

## Who is told what

Your mentor tells nobody what you say, not even your shift leader. Danger to somebody's life is the one exception.
"""
FRONT = """---
themes: [{theme}]
audience: mentee
---
"""


@pytest.fixture(scope="module")
def known() -> knowledge.Knowledge:
    return knowledge.load()


def passages(text: str, known: knowledge.Knowledge, name: str = "mill.md") -> list[Any]:
    return own.read(name, text, knowledge.marks(known), known.passages)


def test_each_section_is_a_passage_that_says_where_it_stands(known) -> None:
    first, second = passages(DOCUMENT, known)
    assert (first.id, first.title, first.provenance) == (
        "mill-mentoring-at-the-mill",
        "Mentoring at the mill",
        "mill.md:3",
    )
    assert first.text == (
        "Every new colleague gets a mentor for the first year. You meet once a month, in working time.\n\n"
        "You may ask the office for another mentor at any time, and you need to give no reason."
    )
    assert (second.title, second.provenance) == ("Who is told what", "mill.md:9")
    assert {first.audience, first.topics, first.level} == {"both", ("organisation",), "none"}
    assert first.sources == ()


def test_front_matter_adds_themes_and_moves_the_lines(known) -> None:
    first, _ = passages(FRONT.format(theme="mentoring_trust") + DOCUMENT, known)
    assert (first.themes, first.audience, first.provenance) == (("mentoring_trust",), "mentee", "mill.md:7")


def test_a_long_section_is_cut_between_paragraphs_and_ids_stay_apart(known) -> None:
    text = "# Long\n\n" + "\n\n".join(["word " * 80] * 3)
    found = passages(text, known)
    assert [item.id for item in found] == ["mill-long", "mill-long-2", "mill-long-3"]
    assert [item.provenance for item in found] == ["mill.md:3", "mill.md:5", "mill.md:7"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FRONT.format(theme="weather") + DOCUMENT, "mill.md:2: unknown theme weather"),
        (
            FRONT.replace("audience: mentee", "audience: all").format(theme="feedback") + DOCUMENT,
            "mill.md:3: audience",
        ),
        (FRONT.replace("themes: [{theme}]", "colour: red") + DOCUMENT, "mill.md:2: colour"),
        ("---\nthemes: [\n---\n" + DOCUMENT, "mill.md:3: not valid YAML"),
        ("---\nlevel: support\n---\n" + DOCUMENT, "mill.md:2: level support needs the kinds"),
        ("# Only a heading\n", "mill.md:1: no text under its headings"),
        ("# Short\n\nToo short.\n", "mill.md:3: 2 words; 8 to 250 are wanted"),
        ("# Long\n\n" + "word " * 300, "mill.md:3: 300 words; 8 to 250 are wanted"),
    ],
)
def test_a_fault_is_named_with_its_line(known, text: str, message: str) -> None:
    with pytest.raises(KnowledgeError) as error:
        passages(text, known)
    assert str(error.value).startswith(message)


def test_the_rest_of_the_library_loads_beside_a_bad_document(known, tmp_path: Path) -> None:
    folder = tmp_path / "own" / "passages"
    folder.mkdir(parents=True)
    (folder / "bad.md").write_text("# Short\n\nToo short.\n")
    (folder / "mill.md").write_text(DOCUMENT)
    found = knowledge.load(organisation=tmp_path / "own")
    assert found.faults == ["own passages/bad.md:3: 2 words; 8 to 250 are wanted"]
    assert set(found.passages) - set(known.passages) == {
        "mill-mentoring-at-the-mill",
        "mill-who-is-told-what",
    }


@pytest.mark.models
def test_documents_are_added_listed_found_replaced_and_removed(tmp_path: Path, capsys) -> None:
    data, document = tmp_path / "data", tmp_path / "mill.md"
    document.write_text(DOCUMENT)

    def run(*words: str, status: int = 0) -> tuple[list[dict[str, Any]], str]:
        assert cli.main(["--data", str(data), "knowledge", *words]) == status
        said = capsys.readouterr()
        return [json.loads(line) for line in said.out.splitlines()], said.err

    added, _ = run("add", str(document))
    assert [row["from"] for row in added] == ["mill.md:3", "mill.md:9"]
    assert run("list")[0] == added
    document.write_text(DOCUMENT.replace("once a month", "twice a month"))
    assert "1 text" in run("add", str(document))[1]
    assert (
        cli.main(
            [
                "--data",
                str(data),
                "search",
                "tells nobody what you say, danger is the exception",
                "--limit",
                "1",
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out)["id"] == "mill-who-is-told-what"
    bad = tmp_path / "bad.md"
    bad.write_text("# Short\n\nToo short.\n")
    assert run("add", str(bad), status=1)[1].startswith("bad.md:3: 2 words")
    assert run("add", str(tmp_path / "none.md"), status=1)[1].startswith(str(tmp_path / "none.md"))
    assert run("list")[0] == added
    assert "mill.md is deleted" in run("remove", "mill.md")[1]
    assert run("list")[0] == []
    assert "no document called mill.md" in run("remove", "mill.md", status=1)[1]


@pytest.mark.models
def test_the_check_counts_and_fails_on_a_fault(tmp_path: Path, capsys) -> None:
    assert cli.main(["--data", str(tmp_path), "knowledge", "check"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    for words in (
        "0 faults",
        "passages by theme: belonging_inclusion",
        "passages by audience: both",
        "by strength: A",
    ):
        assert words in said.err
    folder = tmp_path / "organisation" / "passages"
    folder.mkdir(parents=True)
    (folder / "bad.md").write_text("# Short\n\nToo short.\n")
    assert cli.main(["--data", str(tmp_path), "knowledge", "check"]) == 1
    assert capsys.readouterr().out == "own passages/bad.md:3: 2 words; 8 to 250 are wanted\n"
    shutil.rmtree(folder)
