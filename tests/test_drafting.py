"""Drafts: what each kind of model is given, and that its words are only ever trimmed and checked."""

from __future__ import annotations

import json

import pytest
from conftest import HashingEmbedder

from assistant import drafting, knowledge
from assistant.domain import (
    KINDS,
    Case,
    Passage,
    PassageMatch,
    Question,
    QuestionKind,
    SafetyFinding,
    Span,
    Theme,
)
from assistant.drafting import Draft
from assistant.errors import KnowledgeError, ModelError
from assistant.knowledge import cases as case_files
from assistant.model import Style
from assistant.model.scripted import ScriptedModel
from assistant.prompting import Prompt
from assistant.retrieval.cases import CaseIndex

TEXT = "In the review I go quiet. Afterwards I think of everything. It was on Monday."
THEME = Theme("feedback", 0.9, (Span(0, 25),))
NONE = SafetyFinding()
REPLIES = (
    ["What is bad?", "What is quiet?", "No question.", "What is quiet?"],
    ["How were your reviews?", "How bad was it?"],
)


def passage(theme: str) -> PassageMatch:
    found = Passage("p1", "T", "Doubt has a task. More.", "mentee", (theme,), (), (), "B", "always", (), "")
    return PassageMatch(found, 0.5, theme)


def no_cases(theme: str, quote: str, count: int) -> dict[QuestionKind, list[Case]]:
    return {"reflect": [], "ask": []}


def bad(draft: Draft) -> list[str]:
    return ["bad"] if "bad" in draft.question.text else []


def drafted(model: ScriptedModel, finding: SafetyFinding = NONE, **options: object) -> list[Question]:
    settings: dict = {"check": bad, "cases": no_cases, **options}
    return list(
        drafting.draft(
            model, [THEME], TEXT, [passage("feedback")], 5,
            finding=finding, describe={"feedback": "about feedback"}, **settings,
        )
    )  # fmt: skip


def test_drafts_are_checked_trimmed_and_marked_as_the_models() -> None:
    model = ScriptedModel(REPLIES)
    found = drafted(model)
    assert [(q.kind, q.text) for q in found] == [
        ("reflect", "What is quiet?"),
        ("ask", "How were your reviews?"),
    ]
    assert all(q.origin == "model" and q.theme == "feedback" and q.passages == ("p1",) for q in found)
    assert found[0].evidence == Span(0, 25)
    last = model.prompts[0].messages[-1][1]
    assert "In the review I go quiet." in last and "Doubt has a task." in last and "about feedback" in last
    assert model.seeds == [5, 6]


def test_drafts_come_best_first() -> None:
    model = ScriptedModel([["What one?", "What two?"]], repeat=True)
    found = drafted(model, rank=lambda found: list(reversed(found)))
    assert [q.text for q in found] == ["What two?", "What one?"] * 2


@pytest.mark.parametrize("style", ["tuned", "plain", "strong"])
@pytest.mark.parametrize(
    "finding", [SafetyFinding("support", "grief"), SafetyFinding("urgent"), SafetyFinding(understood=False)]
)
def test_no_draft_where_the_bank_alone_may_speak(finding: SafetyFinding, style: Style) -> None:
    model = ScriptedModel(REPLIES, style=style)
    assert drafted(model, finding) == [] == model.prompts


def test_a_model_that_fails_says_so_after_what_it_gave() -> None:
    model = ScriptedModel([REPLIES[0], ModelError("gone")])
    run = drafting.draft(
        model, [THEME], TEXT, [], 1, finding=NONE, describe={"feedback": "f"}, check=lambda draft: [], cases=no_cases
    )  # fmt: skip
    assert next(run).text == "What is bad?"
    with pytest.raises(ModelError, match="gone"):
        list(run)


def test_a_tuned_model_chooses_what_to_quote_and_what_to_ask() -> None:
    looked: list[tuple[str, str, int]] = []

    def cases(theme: str, quote: str, count: int) -> dict[QuestionKind, list[Case]]:
        looked.append((theme, quote, count))
        asked = ("What is before it?", "What of the lamp?", "What is bad?")
        return {kind: [Case(theme, "a lamp is on", kind, text) for text in asked] for kind in KINDS}

    def weigh(lead: str, answer: str) -> float:
        return {'In the review I go quiet".': 3.0, 'It was on Monday".': 2.0}.get(answer, 0.0)

    model = ScriptedModel([], style="tuned", weigh=weigh)
    found = drafted(model, cases=cases)
    # The lamp is the other text's and "bad" is what the check refuses.
    quotes = ["In the review I go quiet", "It was on Monday"]
    assert [(q.kind, q.text) for q in found] == [
        (kind, f'{who} wrote "{quote}". What is before it?')
        for kind, who in (("reflect", "You"), ("ask", "I"))
        for quote in quotes
    ]
    assert [q.evidence and q.evidence.of(TEXT) for q in found] == quotes * 2
    assert looked == [("feedback", quote, drafting.LIKE) for quote in quotes]
    prompts = {prompt.messages for prompt in model.prompts}
    assert len(prompts) == 1 and TEXT in prompts.pop()[-1][1]


def test_a_question_or_a_quotation_comes_once() -> None:
    def of(words: str, start: int) -> Draft:
        return Draft(Question("ask", words, "feedback", "model", None, Span(start, 25)), words)

    drafts = [of("What now?", 0), of("What now?", 3), of("What then?", 0), of("How so?", 3)]
    assert drafting.apart(drafts) == [drafts[0], drafts[3]]


def test_what_a_tuned_model_chose_from_is_told() -> None:
    told: list[Prompt] = []
    case = Case("feedback", "a lamp is on", "reflect", "What is before it?")
    wanted = 'In the review I go quiet".'
    drafted(
        ScriptedModel([], style="tuned", weigh=lambda lead, answer: float(answer == wanted)),
        cases=lambda theme, quote, count: {"reflect": [case], "ask": []},
        on_prompt=told.append,
    )
    assert [prompt.choices[0] for prompt in told] == [
        'You wrote "In the review I go quiet". What is before it?'
    ]


def test_a_tuned_model_asks_nothing_where_no_words_can_be_quoted() -> None:
    model = ScriptedModel([], style="tuned")
    short = Theme("feedback", 0.9, (Span(0, 13),))  # "In the review"
    found = drafting.draft(
        model, [short], TEXT, [], 1, finding=NONE, describe={"feedback": "f"}, check=bad, cases=no_cases
    )
    assert list(found) == []


def test_a_strong_model_answers_in_a_structure() -> None:
    answer = json.dumps({"reflect": ["What is quiet?", 3, "bad?"], "ask": ["I go quiet. How were yours?"]})
    model = ScriptedModel([[f"Here you are:\n```json\n{answer}\n```", "Sorry, no."]], style="strong")
    found = drafted(model)
    assert [(q.kind, q.text) for q in found] == [
        ("reflect", "What is quiet?"),
        ("ask", "I go quiet. How were yours?"),
    ]
    prompt = model.prompts[0]
    assert len(model.prompts) == 1 and prompt.schema == drafting.SCHEMA
    assert TEXT in prompt.messages[-1][1] and "Doubt has a task. More." in prompt.messages[-1][1]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "none",
        "{",
        "[1]",
        '{"a":' + "[" * 3000 + "}",
        '{"ask": ["Qu\\ud83diet?", "\\u202eno?"]}',
        '{"reflect": "What?"}',
        '{"ask": [1]}',
        "{}",
        '{"other": ["What?"]}',
    ],
)
def test_what_is_not_of_the_structure_gives_nothing(answer: str) -> None:
    assert drafting.parsed(answer) == []


def test_around_gives_whole_sentences_with_the_quote_among_them() -> None:
    text = " ".join(f"Sentence number {n} has six words." for n in range(40))
    at = text.index("Sentence number 20")
    found = drafting.around(text, Span(at, at + 20), 30).of(text)
    assert "Sentence number 20 has six words." in found and found.count(".") == 5
    assert found.startswith("Sentence number") and len(found.split()) <= 30
    assert drafting.around("One. Two.", Span(0, 4), 90) == Span(0, 9)


def test_cases_are_found_by_theme_kind_and_nearness(
    embedder: HashingEmbedder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cases = [
        Case("feedback", "the blue lamp is broken", "reflect", "What of the lamp?"),
        Case("feedback", "nobody reads my report", "reflect", "What of the report?"),
        Case("feedback", "nobody reads my report", "ask", "How of it?"),
        Case("feedback", "my plan was dropped", "reflect", "What of the lamp?"),
        Case("leadership", "the blue lamp is broken", "reflect", "Who leads?"),
    ]
    index = CaseIndex(cases, embedder.encode, embedder.hash, tmp_path_factory.mktemp("cases"))
    quote = "the blue lamp was broken again"
    assert index.near("feedback", quote, 2) == {"reflect": cases[:2], "ask": cases[2:3]}
    assert index.near("feedback", quote, 1) == {"reflect": cases[:1], "ask": cases[2:3]}
    assert index.near("career_direction", quote, 4) == {"reflect": [], "ask": []}
    assert index.refresh() == 3 and index.path.is_file()  # three different quotes


def test_what_a_question_was_worth_elsewhere_counts_beside_nearness(
    embedder: HashingEmbedder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    near = Case("feedback", "the blue lamp is broken", "ask", "What of it?", -3.0)
    far = Case("feedback", "nobody reads my report", "ask", "How of it?", 3.0)
    index = CaseIndex([near, far], embedder.encode, embedder.hash, tmp_path_factory.mktemp("cases"))
    assert index.near("feedback", "the blue lamp is broken", 1)["ask"] == [far]


def test_every_theme_has_cases_of_both_kinds() -> None:
    found = case_files.load()
    for theme in knowledge.load().themes:
        for kind in ("reflect", "ask"):
            count = sum(case.theme == theme and case.kind == kind for case in found)
            assert count >= drafting.LIKE, (theme, kind, count)


def test_a_broken_line_of_cases_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("knowledge")
    (folder / "cases.jsonl").write_text(
        '{"theme": "feedback", "quote": "q", "kind": "ask", "question": "How?", "worth": -0.5}\n{"quote": 1}\n'
    )
    with pytest.raises(KnowledgeError, match="line 2 is no case"):
        case_files.load(folder)
    with pytest.raises(KnowledgeError, match="cannot be read"):
        case_files.load(folder / "nowhere")


def test_words_that_show_the_theme_are_quoted_before_others() -> None:
    def weigh(lead: str, answer: str) -> float:
        return {'It was on Monday".': 1.0}.get(answer, 0.5 if answer.startswith("In the review") else -9.0)

    told: list[Prompt] = []
    case = Case("feedback", "a lamp is on", "reflect", "What is before it?")
    drafted(
        ScriptedModel([], style="tuned", weigh=weigh),
        cases=lambda theme, quote, count: {"reflect": [case], "ask": []},
        on_prompt=told.append,
    )
    shown = TEXT[THEME.evidence[0].start : THEME.evidence[0].end]
    assert "In the review I go quiet" in shown and "Monday" not in shown
    assert told[0].choices[0].startswith('You wrote "In the review I go quiet".')
