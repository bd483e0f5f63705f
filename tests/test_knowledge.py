"""The knowledge base loads; a file with a fault is named and the rest stays."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from assistant import knowledge
from assistant.errors import KnowledgeError

PASSAGE = "passages/trust-made.md"
FRONT = """---
id: trust-made
title: A made passage
audience: mentee
themes: [{theme}]
topics: []
sources: [{source}]
strength: C
level: none
fit: []
reviewed: 2026-11-21
situations: [one told, two told, three told, four told]
---
"""


@pytest.fixture(scope="module")
def whole() -> knowledge.Knowledge:
    return knowledge.load()


@pytest.fixture
def folder(tmp_path: Path, checkout: Path) -> Path:
    copy = tmp_path / "knowledge"
    shutil.copytree(checkout / "knowledge", copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture
def passage(whole: knowledge.Knowledge) -> str:
    front = FRONT.format(theme=next(iter(whole.themes)), source=next(iter(whole.sources)))
    return front + "You " * 80


def test_the_shipped_knowledge_base_has_no_fault(whole):
    assert whole.faults == []
    assert len(whole.themes) == 25
    assert len(whole.passages) > 150
    for theme in whole.themes:
        assert sum(item.theme == theme for item in whole.questions) >= 12, theme
        assert sum(theme in item.themes for item in whole.passages.values()) >= 5, theme
    for moment in knowledge.SETS:
        assert sum(item.theme == moment for item in whole.questions) >= 6, moment
    assert {topic for item in whole.passages.values() for topic in item.topics} >= set(knowledge.TOPICS) - {
        "organisation"
    }
    assert whole.starters and whole.hash


def test_a_source_is_put_into_words_by_the_style_and_says_how_far_it_was_checked(whole):
    known = whole.sources["Allen06"]
    assert known.citation.startswith("Allen, T.D., Eby, L.T. and Lentz, E. (2006) “Mentorship behaviors")
    assert "doi.org" not in known.citation and known.doi == "10.1037/0021-9010.91.3.567"
    assert whole.sources["practice"].citation == "Widely shared practitioner advice"
    assert {source.checked for source in whole.sources.values()} == {"seen", "partly", "recalled"}


def test_every_level_and_kind_has_a_notice_that_names_somebody(whole):
    for level in ("support", "urgent"):
        for kind in (*whole.kinds, None, "unheard-of"):
            notice = whole.notice(level, kind)
            assert notice.body
            assert notice.pointers
            assert set(notice.pointers) <= set(whole.pointers)
    with pytest.raises(KnowledgeError, match=r"notices/none-any\.md"):
        whole.notice("none", None)


def test_a_made_passage_loads_and_changes_the_hash(whole, folder, passage):
    assert knowledge.load(folder).hash == whole.hash
    (folder / PASSAGE).write_text(passage)
    found = knowledge.load(folder)
    assert found.faults == []
    assert found.passages["trust-made"].text == ("You " * 80).strip()
    assert found.hash != whole.hash


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id: trust-made", "id: trust-other", "is not the file name"),
        ("audience: mentee", "audience: everyone", "audience"),
        (r"themes: \[.*\]", "themes: [no_such_theme]", "unknown theme no_such_theme"),
        (r"themes: \[.*\]", "themes: []", "neither themes nor topics"),
        (r"topics: \[\]", "topics: [weather]", "unknown topic weather"),
        (r"sources: \[.*\]", "sources: [Nobody99]", "unknown source Nobody99"),
        (r"sources: \[.*\]", "sources: []", "sources"),
        ("strength: C", "strength: D", "strength"),
        ("strength: C", "strong: C", "strength"),
        ("level: none", "level: urgent", "level"),
        ("level: none", "level: support", "needs the kinds"),
        (r"fit: \[\]", "fit: [grief]", "fit without level support"),
        (
            "level: none\nfit: \\[\\]",
            "level: support\nfit: [no_such_kind]",
            "unknown safety kind no_such_kind",
        ),
        ("reviewed", "note: x\nreviewed", "note"),
        ("situations: .*", "situations: [one, two]", "situations"),
        ("title: A", "title: [A", "not valid YAML"),
        ("---\nid", "id", "no front matter"),
        ("(You ){30}", "", "20 words; 60 to 120 are wanted"),
        ("You ", "You You ", "160 words"),
    ],
)
def test_a_fault_in_a_passage_is_named_and_the_rest_loads(whole, folder, passage, old, new, message):
    (folder / PASSAGE).write_text(re.sub(old, new, passage))
    found = knowledge.load(folder)
    assert [fault for fault in found.faults if fault.startswith(f"{PASSAGE}:") and message in fault]
    assert (found.passages, found.notices) == (whole.passages, whole.notices)


def test_a_file_that_is_no_text_is_named_and_the_rest_loads(whole, folder):
    (folder / PASSAGE).write_bytes(b"\xff\xfe\x00")
    (folder / "questions" / "x.yaml").write_bytes(b"\xff")
    found = knowledge.load(folder)
    assert sorted(fault.split(":")[0] for fault in found.faults) == [PASSAGE, "questions/x.yaml"]
    assert (found.passages, found.questions) == (whole.passages, whole.questions)


def test_an_id_that_exists_twice_is_named(whole, folder):
    (folder / "passages" / "more").mkdir()
    known = next(iter(whole.passages))
    shutil.copy(folder / "passages" / f"{known}.md", folder / "passages" / "more")
    found = knowledge.load(folder)
    assert found.faults == [f"passages/{known}.md:2: id {known} exists already"]


def test_a_strength_above_the_weakest_source_is_named(whole, folder, passage):
    weak = next(key for key, source in whole.sources.items() if source.strength == "C")
    text = re.sub(r"sources: \[.*\]", f"sources: [{weak}]", passage).replace("strength: C", "strength: A")
    (folder / PASSAGE).write_text(text)
    assert knowledge.load(folder).faults == [f"{PASSAGE}:8: strength A is above its weakest source"]


@pytest.mark.parametrize(
    ("text", "fit", "message"),
    [
        ("Have you told her?", "[]", "can be answered with yes or no"),
        ("So is it better now for you?", "[]", "can be answered with yes or no"),
        ("Tell me about your week.", "[]", "does not end in one question"),
        ("What helps you? And how do you know?", "[]", "asks more than one thing"),
        ("What " + "very " * 25 + "long?", "[]", "has more than 25 words"),
        ("Well, why didn't you ask for help?", "[]", "asks why something was not done"),
        ("What else, if not telling her, don't you think?", "[]", "holds its own answer"),
        (
            "Why not ask her what you need?",
            "[]",
            "tells what to do",
        ),
        ("What does your burnout tell you?", "[]", "label"),
        ("Why does your manager say that?", "[]", "asks to explain another person"),
        ("What should I say to her?", "[]", "speaks to the wrong person"),
        ("What helped you most?", "[no_such_kind]", "unknown safety kind no_such_kind"),
    ],
)
def test_a_fault_in_a_question_leaves_out_that_question_alone(whole, folder, text, fit, message):
    good = "- {id: made-2, kind: ask, focus: resource, text: 'What would you try first?'}"
    bad = f'- {{id: made-1, kind: reflect, focus: resource, fit: {fit}, text: "{text}"}}'
    (folder / "questions" / "made.yaml").write_text(f"theme: any\nquestions:\n{bad}\n{good}\n")
    found = knowledge.load(folder)
    assert len(found.faults) == 1
    assert found.faults[0].startswith("questions/made.yaml:3: made-1 ")
    assert message in found.faults[0]
    assert {item.id for item in found.questions} - {item.id for item in whole.questions} == {"made-2"}


def test_a_question_that_stands_twice_and_a_file_for_no_theme_are_named(whole, folder):
    known = whole.questions[0]
    entry = f'- {{id: made-1, kind: {known.kind}, focus: {known.focus}, text: "{known.text}"}}'
    (folder / "questions" / "zz1.yaml").write_text(f"theme: any\nquestions:\n{entry}\n")
    (folder / "questions" / "zz2.yaml").write_text("theme: weather\nquestions: []\n")
    assert knowledge.load(folder).faults == [
        "questions/zz1.yaml:3: made-1 stands twice",
        "questions/zz2.yaml:1: unknown theme weather",
    ]


def test_one_bad_pointer_takes_no_notice_away(whole, folder):
    path = folder / "help.yaml"
    path.write_text(
        path.read_text().replace("- id: emergency_number\n", "- id: emergency_number\n  odd: 1\n")
    )
    found = knowledge.load(folder)
    assert "help.yaml:24: odd: Extra inputs are not permitted" in found.faults
    assert "notices/urgent-any.md: unknown help pointer emergency_number" in found.faults
    assert found.notices.keys() == whole.notices.keys()
    assert "emergency_number" not in found.notice("urgent", None).pointers
    assert found.notice("urgent", None).pointers == whole.notice("urgent", None).pointers[1:]


@pytest.mark.parametrize("content", ["", "- [", "3"])
def test_a_help_file_that_cannot_be_read_leaves_the_notices_words(whole, folder, content):
    (folder / "help.yaml").write_text(content)
    found = knowledge.load(folder)
    assert found.faults[0].startswith("help.yaml")
    assert found.notice("urgent", "self_harm").body == whole.notice("urgent", "self_harm").body


def test_one_bad_source_takes_only_the_passages_that_rest_on_it(whole, folder):
    path = folder / "bibliography.json"
    entries = json.loads(path.read_text())
    lost = next(key for item in whole.passages.values() for key in item.sources)
    del next(entry for entry in entries if entry["id"] == lost)["custom"]
    path.write_text(json.dumps(entries, indent=2))
    line = path.read_text().split("\n").index(f'    "id": "{lost}",')  # its entry begins a line before
    found = knowledge.load(folder)
    assert f"bibliography.json:{line}: 'custom' is missing" in found.faults
    assert found.passages == {key: item for key, item in whole.passages.items() if lost not in item.sources}


def test_a_fault_in_the_guidance_is_named_by_its_theme(whole, folder):
    theme, other = list(whole.themes)[:2]
    path = folder / "guidance.yaml"
    text = re.sub(rf"(?m)^{theme}:\n", f"{theme}:\n  odd: 1\n", path.read_text())
    text = text.replace(whole.guidance[other].passage, "no-such-passage")
    path.write_text(text)
    found = knowledge.load(folder)
    assert "guidance.yaml:11: odd: Extra inputs are not permitted" in found.faults
    assert f"guidance.yaml: no entry for {theme}" in found.faults
    assert f"guidance.yaml: {other}: no passage no-such-passage" in found.faults
    assert whole.guidance.keys() - found.guidance.keys() == {theme}


@pytest.mark.parametrize(
    "gone", ["starters.yaml", "guidance.yaml", "notices", "questions", "bibliography.json"]
)
def test_a_part_that_is_missing_is_named_and_the_rest_loads(whole, folder, gone):
    path = folder / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = knowledge.load(folder)
    assert any(fault.startswith(gone) for fault in found.faults)
    assert found.pointers == whole.pointers
    assert found.themes == whole.themes


@pytest.mark.parametrize("name", ["themes.yaml", "safety.yaml"])
@pytest.mark.parametrize("content", [b"", b"- [", b"3", b"\xff"])
def test_a_broken_contract_is_refused(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(KnowledgeError, match="contract files"):
        knowledge.load(folder)


def test_an_organisations_own_people_come_first_where_they_fit_and_its_passages_join(whole, tmp_path):
    own = tmp_path / "own"
    (own / "passages").mkdir(parents=True)
    (own / PASSAGE).write_text("# A made passage\n\n" + "You " * 80)
    (own / "help.yaml").write_text(
        "- {id: ours, name: Kim, what: Listens, reach: Room 3, for: [grief], scope: organisation, checked: 2026-11-28, how: service}\n"
        "- {id: doctor, name: Dr Li, what: Heals, reach: Room 4, for: [grief], scope: organisation, checked: 2026-11-28, how: service}\n"
    )
    found = knowledge.load(organisation=own)
    assert found.faults == []
    assert "trust-made-a-made-passage" in found.passages
    assert found.hash != whole.hash
    assert found.pointers["doctor"].name == "Dr Li"
    assert found.notice("support", "grief").pointers[:2] == ("ours", "doctor")
    assert found.notice("support", "grief").pointers.count("doctor") == 1
    assert "ours" not in found.notice("urgent", "danger_from_others").pointers
    assert found.notice("support", None).pointers[0] == "ours"


def test_an_organisations_folder_that_is_not_there_is_named(whole, tmp_path):
    found = knowledge.load(organisation=tmp_path / "nowhere")
    assert len(found.faults) == 1 and "nowhere" in found.faults[0]
    assert found.passages == whole.passages
