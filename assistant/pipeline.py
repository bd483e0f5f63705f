"""The order of the steps. Nothing is retrieved, generated or shown before the safety step."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np

from assistant import drafting, goal_drafting, reporting, verify
from assistant.domain import (
    BankQuestion,
    GoalReading,
    PassageMatch,
    Provenance,
    Question,
    Report,
    SafetyFinding,
    Span,
    ThemeReading,
)
from assistant.drafting import Draft
from assistant.embedding import Embedder, Vectors
from assistant.embedding.tuned import WordReader, WordReading
from assistant.errors import EmbeddingError, InputError, ModelError, PromptError
from assistant.goals import GoalReader
from assistant.knowledge import Knowledge
from assistant.model import TextModel
from assistant.preference import Preference
from assistant.prompting import Prompt
from assistant.questions import QuestionBank
from assistant.recall import Recall
from assistant.retrieval import KnowledgeIndex
from assistant.retrieval.cases import CaseIndex
from assistant.safety import SafetyReader
from assistant.sentences import split
from assistant.store import Store, text_hash
from assistant.themes import ThemeReader, too_short

PASSAGES = 5
DRAFTS = 2  # the model's questions shown a theme and kind
UNWANTED = 0.3  # how much less a writer makes of the model's questions than of the bank's to see fewer
MORE = 6  # bank questions behind “more”
NO_THEME = (
    "Nothing here points clearly to one topic, so none is named; "
    "add what happened and how it was for you, or take a question for any meeting."
)
TOO_FEW = "These are few words to go by: add one moment from these days, what you did in it, and how it was for you."
OTHER_LANGUAGE = "This text seems to be in a language not known here; the language known is English."
FIRST_THINGS_FIRST = "What you wrote matters more than a goal just now, so the goal stays as it is."


@dataclass(frozen=True, slots=True)
class Read:
    """A text after the safety step; ``reading`` is None where the tuned encoder failed or had nothing to read."""

    sentences: list[Span]
    reading: WordReading | None
    finding: SafetyFinding
    seconds: dict[str, float]


@dataclass
class Pipeline:
    """The engines and the order they are asked in; safe to share between threads."""

    knowledge: Knowledge
    embedder: Embedder
    encoder: WordReader
    safety_reader: SafetyReader
    theme_reader: ThemeReader
    index: KnowledgeIndex
    cases: CaseIndex
    bank: QuestionBank
    goal_reader: GoalReader
    prompts_hash: str
    store: Store | None = None
    model: TextModel | None = None
    model_fault: str | None = None  # why there is no model, in a sentence for the page

    @property
    def recall(self) -> Recall:
        """What looks into a writer's own past; only where there is a store."""
        assert self.store is not None
        return Recall(self.store, self.embedder)

    # What a page or the command line asks for

    def analyse(self, text: str, seed: int = 0, questions: bool = True, model: bool = True) -> Report:
        """Read one text, storing nothing. The same text and seed give the same answer."""
        read = self._read_safely(text)
        seconds, finding = read.seconds, read.finding
        vectors = self._embedded(text, read, None, None)
        report = self._suggest(text, read, vectors, seed, questions, {}, Preference())
        if (
            questions
            and model
            and self.model is not None
            and report.reading.themes
            and finding.level == "none"
        ):
            # Without what a model adds the bank's questions stand.
            with _timed(seconds, "questions"), suppress(ModelError, PromptError, EmbeddingError):
                drafts = list(self.draft(text, report, seed))
                report = replace(report, questions=_with_model(report.questions, drafts))
        seconds["total"] = sum(value for step, value in seconds.items() if step != "total")
        return replace(report, seconds=seconds)

    def read_reflection(self, owner: str, reflection: str) -> dict[str, Any]:
        """Read a stored reflection of ``owner``, store the report, and return it as stored."""
        assert self.store is not None
        row = self.store.reflections.load(owner, reflection)
        read = self._read_safely(row["text"])
        finding = read.finding
        self.store.reflections.raise_level(owner, reflection, finding.level)
        vectors = self._embedded(row["text"], read, owner, reflection)
        doubts, preference = self.recall.doubts(owner, reflection), self._preference(owner)
        report = self._suggest(row["text"], read, vectors, 0, True, doubts, preference)
        if finding.level == "none" and finding.understood:
            report = replace(report, earlier=self.recall.earlier(owner, reflection, vectors))
        stored = reporting.stored_row(report, row["text"])
        shown = {item.text for item in report.questions} | preference.avoid
        more = self.bank.more(report.reading.themes, finding, 0, shown, _prefer(preference))
        stored["more"] = [reporting.question_row(item) for item in more[:MORE]]
        open_ones = self.bank.choose((), finding, 0, preference.avoid, _prefer(preference))
        stored["any"] = [reporting.question_row(item) for item in open_ones]
        stored["text"] = row["text"]  # the offsets are into this very text, whatever is written later
        self.store.reflections.save_report(owner, reflection, row["text"], stored)
        return stored

    def draft(
        self,
        text: str,
        report: Report,
        seed: int = 0,
        on_prompt: Callable[[Prompt], None] | None = None,
    ) -> Iterator[Question]:
        """Yield the local model's questions for a report's themes, verified, as they are ready.

        ``on_prompt`` hears what the model is given. Yields nothing without a model, a theme, or under any
        notice. Raises ModelError.
        """
        if self.model is None or report.safety.level != "none" or not report.safety.understood:
            return
        themes = report.reading.themes

        def check(draft: Draft) -> list[str]:
            return verify.check(text, draft.question, self.bank.texts, self.knowledge.vocabulary)

        def rank(drafts: Sequence[Draft]) -> list[Draft]:
            order = drafting.probable if all(item.weight for item in drafts) else drafting.nearest
            return order(drafts, text, themes, self.embedder.encode)

        yield from drafting.draft(
            self.model, themes, text, report.passages, seed,
            finding=report.safety, check=check, rank=rank, cases=self.cases.near,
            describe={theme.id: theme.means for theme in self.knowledge.themes.values()},
            on_prompt=on_prompt,
        )  # fmt: skip

    def draft_reflection(self, owner: str, reflection: str) -> Iterator[list[dict[str, Any]]]:
        """Yield the model's questions for a stored report, a longer list each time, stored as they come.

        Raises AccessError, InputError when there is no report yet, ModelError.
        """
        assert self.store is not None
        self.store.reflections.load(owner, reflection)
        found = self.store.reflections.report(owner, reflection)
        if not found:
            raise InputError("Read the text first; then the local model can try.")
        if self.model is None:
            raise ModelError(self.model_fault or "There is no language model on this computer.")
        stored, _ = found
        doubts = self.recall.doubts(owner, reflection)
        wanted = stored | {"themes": [item for item in stored["themes"] if doubts.get(item["id"]) != inf]}
        rows: list[dict[str, Any]] = []
        given: list[Prompt] = []
        preference = self._preference(owner)
        most = DRAFTS if preference.of("model") >= preference.of("bank") - UNWANTED else 1
        places: dict[tuple[str | None, str], int] = {}
        report = reporting.report_of(wanted, self.knowledge)
        for question in self.draft(stored["text"], report, 0, given.append):
            place = (question.theme, question.kind)
            if question.text in preference.avoid or places.get(place, 0) >= most:
                continue
            places[place] = places.get(place, 0) + 1
            rows.append(reporting.question_row(question))
            yield self._keep_drafts(owner, reflection, stored, rows, given)
        if not rows:
            yield self._keep_drafts(owner, reflection, stored, rows, given)

    def _preference(self, owner: str) -> Preference:
        return self.recall.preference(owner, self.knowledge.questions)

    def _keep_drafts(
        self,
        owner: str,
        reflection: str,
        about: dict[str, Any],
        rows: list[dict[str, Any]],
        given: Sequence[Prompt],
    ) -> list[dict[str, Any]]:
        """Store drafts, and what the model was given, beside the reading they are about.

        A reading made meanwhile stays without them.
        """
        assert self.store is not None and self.model is not None
        kept = {"drafts": rows, "given": reporting.given_row(self.model.name, self.model.hash, given)}

        def change(report: dict[str, Any]) -> dict[str, Any]:
            same = (report["text"], report["safety"]) == (about["text"], about["safety"])
            return report | kept if same else report

        self.store.reflections.change_report(owner, reflection, change)
        return rows

    def check_safety(self, text: str) -> SafetyFinding:
        """Read any writing from which something may be suggested; storing nothing."""
        return self._read_safely(text).finding

    def refine_goal(self, goal: str, context: str | None) -> tuple[SafetyFinding, GoalReading]:
        """Read safety over goal and context, then the goal; under any notice nothing is refined."""
        finding = self.check_safety("\n".join(filter(None, [goal, context])))
        if finding.level != "none":
            return finding, replace(self._plain_goal(goal, context), abstained=FIRST_THINGS_FIRST)
        if not finding.understood and finding.language != "unknown":
            return finding, replace(self._plain_goal(goal, context), abstained=OTHER_LANGUAGE)
        return finding, self.goal_reader.read(goal, context)

    def word_goal(
        self,
        goal: str,
        context: str | None,
        finding: SafetyFinding,
        reading: GoalReading,
        seed: int = 0,
        on_prompt: Callable[[Prompt], None] | None = None,
    ) -> GoalReading:
        """Return what ``refine_goal`` found in the local model's words, where some of them stand the rules.

        ``on_prompt`` hears what the model is given; it is asked nothing under a notice, in a language that is
        not known, or where nothing is to be refined. Raises ModelError, PromptError.
        """
        if self.model is None or finding.level != "none" or not finding.understood or not reading.refined:
            return reading
        found = goal_drafting.refine(
            self.model, goal, context or "", reading, seed,
            missing=lambda text: self.goal_reader.missing(text, context),
            ordinary=self.knowledge.vocabulary, on_prompt=on_prompt,
        )  # fmt: skip
        return found or reading

    def search(self, words: str, limit: int) -> list[PassageMatch]:
        """Return the passages nearest in meaning to some words, best first."""
        if not words.strip():
            raise InputError("Give a few words to search for.")
        return self.index.search(words, self.embedder.encode([words])[0], limit)

    # The steps

    def _read_safely(self, text: str) -> Read:
        """Take the safety step: the rules, then the tuned encoder; if it fails, the rules decide alone."""
        seconds: dict[str, float] = {}
        reading: WordReading | None = None
        with _timed(seconds, "safety"):
            sentences = split(text)
            with suppress(EmbeddingError):
                reading = self.encoder.read(text) if sentences else None
            finding = self.safety_reader.read(text, sentences, reading)
        return Read(sentences, reading, finding, seconds)

    def _embedded(self, text: str, read: Read, owner: str | None, reflection: str | None) -> Vectors:
        """Return the sentences' vectors; none for what nothing may be retrieved for, or if the embedder fails."""
        if read.finding.level == "urgent":
            return _no_vectors(self.embedder)
        with _timed(read.seconds, "embed"), suppress(EmbeddingError):
            return self._vectors([span.of(text) for span in read.sentences], owner, reflection)
        return _no_vectors(self.embedder)

    def _suggest(
        self,
        text: str,
        read: Read,
        vectors: Vectors,
        seed: int,
        questions: bool,
        doubts: Mapping[str, float],
        preference: Preference,
    ) -> Report:
        finding, seconds = read.finding, read.seconds
        reading, abstained = ThemeReading(), None
        with _timed(seconds, "themes"):
            if finding.understood and finding.level != "urgent" and read.reading is not None:
                reading = self.theme_reader.read(text, read.sentences, read.reading, doubts)
        if finding.level != "urgent":
            abstained = _abstained(text, finding, reading)
        with _timed(seconds, "retrieve"):
            passages = self.index.find(finding, reading, text, read.sentences, vectors, PASSAGES)
        chosen: tuple[Question, ...] = ()
        with _timed(seconds, "questions"):
            if questions:
                chosen = self.bank.choose(
                    reading.themes, finding, seed, preference.avoid, _prefer(preference)
                )
        return Report(
            safety=finding, reading=reading, passages=passages, questions=chosen, abstained=abstained,
            provenance=self._provenance(), seconds=seconds,
        )  # fmt: skip

    def _vectors(self, texts: Sequence[str], owner: str | None, reflection: str | None) -> Vectors:
        """Embed each different text once; an owner's stored vectors are used and kept."""
        hashes = [text_hash(text) for text in texts]
        known: dict[str, np.ndarray] = {}
        if owner and self.store:
            known = self.store.reflections.vectors(owner, self.embedder.hash, sorted(set(hashes)))
        fresh = {key: text for key, text in zip(hashes, texts, strict=True) if key not in known}
        for key, vector in zip(fresh, self.embedder.encode(list(fresh.values())), strict=True):
            known[key] = vector
        if owner and reflection and self.store:
            self.store.reflections.save_vectors(
                owner, reflection, self.embedder.hash, {key: known[key] for key in hashes}
            )
        return np.stack([known[key] for key in hashes]) if hashes else _no_vectors(self.embedder)

    def _plain_goal(self, goal: str, context: str | None) -> GoalReading:
        reading = self.goal_reader.read(goal, context)
        return GoalReading(frame=reading.frame, type=reading.type)

    def _provenance(self) -> Provenance:
        model = f"{self.model.name}@{self.model.hash}" if self.model else "none"
        return Provenance(
            model,
            f"{self.embedder.name}@{self.embedder.hash}+{self.encoder.hash}",
            self.knowledge.hash,
            self.prompts_hash,
        )


def seed_for(seed: int, line_id: str) -> int:
    """Return the seed of one line, so that it gives the same answer alone or in any batch."""
    return int(hashlib.sha256(f"{seed}\0{line_id}".encode("utf-8", "surrogatepass")).hexdigest()[:8], 16)


def _prefer(preference: Preference) -> Callable[[BankQuestion], float]:
    return lambda question: preference.of(question.kind, question.focus)


def _with_model(bank: tuple[Question, ...], drafts: Sequence[Question]) -> tuple[Question, ...]:
    """Add the model's best question of each theme and kind after the bank's.

    They stand last until a blind comparison shows that they deserve better.
    """
    best = {(item.theme, item.kind): item for item in reversed(drafts)}
    return bank + tuple(item for item in drafts if best[item.theme, item.kind] is item)


def _abstained(text: str, finding: SafetyFinding, reading: ThemeReading) -> str | None:
    """Return why no theme is named and what would help, in a sentence, or None where one is."""
    if not finding.understood:
        return OTHER_LANGUAGE
    if reading.themes:
        return None
    return TOO_FEW if too_short(text) else NO_THEME


def _no_vectors(embedder: Embedder) -> Vectors:
    return np.zeros((0, embedder.dimensions), np.float32)


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - start
