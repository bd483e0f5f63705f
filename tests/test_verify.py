"""The rules for drafts: good ones pass, each kind of bad one fails for its own reason."""

from __future__ import annotations

import numpy as np
import pytest

from assistant import checklist, verify
from assistant.domain import QuestionKind
from assistant.model import Weight

TEXT = (
    "In Tuesday's review with Marek I went quiet again. He asked about the pump, I knew the answer since 2019, "
    "and I said “let me check”. Afterwards I wrote nine lines to my boss at 6 and felt ashamed. My deputy Ana "
    "says I over-prepare. The apprentices come to me with everything, and I still do the rota on Sunday."
)
BANK = ("What would a good week with your team look like for you?",)
EARLIER = "What happens just before you go quiet in the review?"

GOOD: list[tuple[QuestionKind, str]] = [
    ("reflect", "What was happening in the room just before you went quiet with Marek?"),
    ("reflect", "You said “let me check”: what did you already know about the pump?"),
    ("reflect", "You said 'let me check' to Marek; what would you have liked to say?"),
    ("reflect", "When did you last answer in a review although you were unsure?"),
    ("reflect", "Which of the nine lines did your boss need?"),
    ("reflect", "What does Ana see when she says that you over-prepare?"),
    ("reflect", "How would Sunday change for you if the rota were not yours?"),
    ("reflect", "Of all that the apprentices bring to you, what could wait?"),
    ("reflect", "At what point in the review does the quiet begin for you?"),
    ("reflect", "Where in your week are you as sure of yourself as you are about the pump?"),
    ("reflect", "Looking back at Tuesday, what would have helped you to answer Marek?"),
    ("reflect", "You felt ashamed after the 9 lines: what did you need from them?"),
    ("ask", "How did you learn to answer in reviews like the one where I went quiet?"),
    ("ask", "What do you hear when I tell you that Ana says I over-prepare?"),
    ("ask", "Could you tell me about a review in which you stayed quiet, as I did?"),
    ("ask", "I still do the rota on Sunday; how did you hand over something like it?"),
    ("ask", "If the apprentices came to you with everything, what would you do that I don't?"),
    ("ask", "Marek asked about the pump and I said “let me check”: how does that sound to you?"),
    ("ask", "When did you last write lines to a boss that were as long as mine?"),
    ("ask", "Which of my nine lines would you have sent?"),
    ("ask", "What would you listen for if we went through Tuesday's review together?"),
]

BAD: list[tuple[str, QuestionKind, str]] = [
    ("not_a_question", "reflect", "You went quiet in the review with Marek."),
    ("not_a_question", "reflect", "You went quiet in the review with Marek?"),
    ("not_a_question", "ask", "I wonder how you would have answered Marek in my review."),
    ("several_questions", "reflect", "What made you quiet in the review? What would help you?"),
    ("several_questions", "reflect", "What made you quiet in the review, and how will you answer Marek?"),
    ("several_questions", "ask", "How do you share a rota like mine and what do you say to apprentices?"),
    ("yes_no", "reflect", "Do you often go quiet in a review?"),
    ("yes_no", "reflect", "When Marek asked about the pump, were you tired?"),
    ("yes_no", "ask", "Do you think that I over-prepare for the review?"),
    ("yes_no", "ask", "Is it normal that I do the rota on Sunday, as you see it?"),
    ("advice", "reflect", "Have you considered telling Marek how the review felt to you?"),
    ("advice", "reflect", "What if you gave the rota to Ana?"),
    ("advice", "reflect", "Why not let the apprentices do the rota on your Sunday?"),
    ("advice", "reflect", "Tell Marek what you know about the pump: what do you have to lose?"),
    ("advice", "ask", "What if I asked Ana to answer the apprentices instead of you?"),
    ("leading", "reflect", "Don't you think that the review went quiet because of Marek?"),
    ("leading", "reflect", "What stopped you in the review was the pump, wasn't it, right?"),
    ("leading", "ask", "Isn't it better if I stop writing nine lines to my boss, as you do?"),
    (
        "too_long",
        "reflect",
        "When you think about the review with Marek and about the pump and the nine lines and the "
        "rota and Ana, what would you like to begin with first of all?",
    ),
    ("fragment", "reflect", "Your pump, how?"),
    ("diagnosis", "reflect", "How long have you had burnout from the rota?"),
    ("diagnosis", "reflect", "How does your impostor syndrome show in the review?"),
    ("diagnosis", "ask", "How do people with social anxiety like mine survive a review?"),
    ("feeling_given", "reflect", "What makes you so anxious in the review with Marek?"),
    ("feeling_given", "reflect", "When did the loneliness in your review begin?"),
    ("why_not", "reflect", "Why didn't you answer Marek about the pump?"),
    ("why_not", "reflect", "Why did you not answer Marek in the review?"),
    ("about_others", "reflect", "Why does Marek ask you about the pump?"),
    ("about_others", "reflect", "What makes your boss ignore the nine lines you wrote?"),
    ("about_others", "ask", "What is it in Ana's character that makes her say I over-prepare?"),
    ("invented", "reflect", "What did Gary say to you about the pump?"),
    ("invented", "reflect", "What changed for you since the review in 2021?"),
    ("invented", "reflect", "Which of the five pumps do you know best?"),
    ("invented", "reflect", "You said “never again” to Marek: what did you mean?"),
    ("wrong_addressee", "reflect", "What should I say to Marek in the review?"),
    ("wrong_addressee", "reflect", "What is the best way to run a review?"),
    ("wrong_addressee", "ask", "What will you ask your mentor about my review?"),
    ("wrong_addressee", "ask", "What do you know about the pump?"),
    ("wrong_addressee", "ask", "What would you tell your mentee about a rota like mine?"),
    ("near_copy", "reflect", "What happens just before you go quiet in a review?"),
    ("near_copy", "reflect", "What would a good week with your team look like to you?"),
    ("near_copy", "ask", "I wrote nine lines to my boss at 6?"),
    ("generic", "reflect", "What would help you to feel better at work?"),
    ("generic", "ask", "How did you get where you are, and I not?"),
    ("chat_debris", "reflect", "Sure! What happens before you go quiet with Marek?"),
    ("chat_debris", "reflect", "Question: what happens before you go quiet with Marek?"),
    ("chat_debris", "reflect", "What happens before you go quiet with **Marek**?"),
    ("chat_debris", "reflect", "As an AI, what do I tell you about the pump?"),
    ("chat_debris", "reflect", "<|im_start|>What did you know about the pump?"),
    ("second_language", "reflect", "Was ist mit dem review und Marek für you?"),
    ("second_language", "reflect", "What did you know про насос in the review?"),
]


@pytest.mark.parametrize(("kind", "question"), GOOD)
def test_a_good_question_passes(kind: QuestionKind, question: str) -> None:
    assert verify.reasons(TEXT, question, kind, (*BANK, EARLIER)) == []


@pytest.mark.parametrize(("reason", "kind", "question"), BAD)
def test_a_bad_question_fails_for_its_reason(reason: str, kind: QuestionKind, question: str) -> None:
    assert reason in verify.reasons(TEXT, question, kind, (*BANK, EARLIER))


def test_every_reason_is_tried_and_worded() -> None:
    assert {reason for reason, _, _ in BAD} == set(verify.REASONS)
    assert {reason for reason, _ in checklist.PATTERNS} <= set(checklist.REASONS) <= set(verify.REASONS)


@pytest.mark.parametrize("question", ["", "?", "   ", "…?", '"?"', "\n\n", "?" * 50, "a" * 5000])
def test_any_string_gets_an_answer(question: str) -> None:
    assert verify.reasons(TEXT, question, "reflect")
    assert verify.reasons("", question, "ask")


def test_numbers_match_as_digits_and_as_words() -> None:
    assert not verify.reasons(TEXT, "Which of your 9 lines did the boss need?", "reflect")
    assert "invented" in verify.reasons("I wrote 19 lines.", "Which of the 9 lines matter to you?", "reflect")


def test_a_feeling_or_a_clinical_word_of_the_text_may_be_used() -> None:
    question = "What did you need when you felt ashamed of the lines?"
    assert verify.reasons(TEXT, question, "reflect") == []
    text = "I run the speech therapy rota and Thursday is too short for it."
    assert verify.reasons(text, "What would the therapy rota need from you on Thursday?", "reflect") == []
    assert "diagnosis" in verify.reasons(TEXT, "What does therapy bring you for the review?", "reflect")


def test_ranking_puts_the_best_grounded_first_and_drops_the_ungrounded() -> None:
    vectors = np.array([[0.6, 0.8, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    evidence = np.array([[1, 0, 0], [0, 0.1, 0]], np.float32)
    assert verify.order(vectors, evidence) == [1, 0]


def test_ranking_keeps_the_order_of_equals_and_takes_nothing() -> None:
    same = np.ones((3, 1), np.float32)
    assert verify.order(same, same[:1]) == [0, 1, 2]
    assert verify.order(np.zeros((0, 1), np.float32), same) == []
    assert verify.order(same[:2], np.zeros((0, 1), np.float32)) == [0, 1]


def test_answers_that_are_probably_unfitting_are_left_out() -> None:
    sure = [1.0] * 3
    weights = [Weight(-9.0, 9, 3.0), Weight(-9.0, 9, -9.0), Weight(-9.0, 9, 5.0)]
    assert verify.fitting(weights, [0.3] * 3, [0.0] * 3, sure) == [2, 0]
    assert verify.fitting(weights, [0.3] * 3, [3.0, 3.0, -9.0], sure) == [0]
    assert verify.fitting(weights[::2], [0.3, 0.9], [1.0, -3.0], [1.0, 1.0]) == [0]
    assert verify.fitting(weights[2:], [0.3], [3.0], [0.5]) == []  # of a theme that is a guess
    assert verify.fitting([], [], [], []) == []


EMAILS = "My manager said my emails were too long. I sit and rewrite them."
ORDINARY = frozenset("how what when my".split())


def test_a_name_that_opens_a_sentence_is_a_name() -> None:
    told = "Gary finds my emails too long. How do my emails read to you?"
    assert "invented" in verify.reasons(EMAILS, told, "ask", ordinary=ORDINARY)
    assert (
        verify.reasons(EMAILS, told.replace("Gary finds", "My manager finds"), "ask", ordinary=ORDINARY) == []
    )
    assert "invented" not in verify.reasons(EMAILS, told, "ask")  # where no list of words is given
