"""Trains the theme reader's weights: ``python -m training.train_themes``.

Reads training/data (never benchmarks/evals), writes assistant/weights/themes.safetensors and
training/results-themes.md. Folds keep each writing hand's file on one side, so every figure is for
hands the weights have not seen. Sentence vectors are kept in .cache between runs.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import yaml
from safetensors.numpy import save_file
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from assistant.domain import Span
from assistant.embedding import MiniLM
from assistant.sentences import split
from assistant.themes import GUARD, GUARDED, MAX_NAMED, ThemeReader, word_ids

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "training" / "data"
HANDS = ("questions.seed", *(f"batch{i}" for i in range(1, 12)))
WEIGHTS = ROOT / "assistant" / "weights" / "themes.safetensors"
RESULTS = ROOT / "training" / "results-themes.md"
CACHE = ROOT / ".cache" / "train_themes.npz"
DATE, SEED = "2026-11-21", 20261121
FOLDS, MEMBERS, HIDDEN, WORDS = 6, 2, 256, 1 << 15
PERSONAL = (
    *GUARDED,
    "setbacks_resilience",
    "motivation_meaning",
    "wellbeing_stress",
    "work_life_balance",
    GUARD,
)
TARGET, PERSONAL_TARGET, SUPPORT, FLOOR = 0.6, 0.75, 12, 0.3
UNEQUAL = 0.05  # share of the belonging texts that may wrongly get a guarded theme
Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass
class Corpus:
    """The labelled texts. ``labels`` (n, 25); ``quotes`` holds (text, theme, quote)."""

    ids: list[str]
    texts: list[str]
    sentences: list[list[Span]]
    vectors: list[npt.NDArray[np.float32]]
    labels: Array
    marks: list[Array]  # per text (sentences, 25): 1 where the sentence carries the quote
    quotes: list[tuple[int, int, str]]
    fold: npt.NDArray[np.int64]
    hash: str


def load() -> Corpus:
    """Read, split and embed the training texts."""
    groups = yaml.safe_load((ROOT / "knowledge" / "themes.yaml").read_text("utf-8"))
    ids = [theme for group in groups.values() for theme in group]
    files = [DATA / f"{hand}.jsonl" for hand in HANDS]
    rows = [[json.loads(x) for x in f.read_text("utf-8").split("\n") if x.strip()] for f in files]
    flat = [row for part in rows for row in part]
    fold = np.repeat([i * FOLDS // len(HANDS) for i in range(len(HANDS))], [len(part) for part in rows])
    digest = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]
    texts = [row["text"] for row in flat]
    sentences = [split(t) for t in texts]
    labels = np.zeros((len(flat), len(ids)))
    quotes = [(i, ids.index(t["id"]), t["evidence"]) for i, row in enumerate(flat) for t in row["themes"]]
    for i, k, _ in quotes:
        labels[i, k] = 1
    marks = [np.zeros((len(s), len(ids))) for s in sentences]
    for i, k, quote in quotes:
        marks[i][:, k] = _carrying(texts[i], sentences[i], quote)
    return Corpus(
        ids, texts, sentences, embed(texts, sentences, digest), labels, marks, quotes, fold, digest
    )


def _carrying(text: str, sentences: list[Span], quote: str) -> Array:
    """Return 1 for the sentences that share at least half of themselves, or of the quote."""
    start = text.index(quote)
    end = start + len(quote)
    shared = [min(end, s.end) - max(start, s.start) for s in sentences]
    return np.array([v > 0 and 2 * v >= min(s.end - s.start, end - start) for v, s in zip(shared, sentences)], float)


def embed(texts: list[str], sentences: list[list[Span]], digest: str) -> list[npt.NDArray[np.float32]]:
    """Return each text's sentence vectors, from the cache where it fits."""
    model = MiniLM()
    key = f"{digest}-{model.hash}-{sum(map(len, sentences))}"
    if CACHE.is_file() and str((kept := np.load(CACHE))["key"]) == key:
        flat = kept["vectors"]
    else:
        flat = model.encode([s.of(t) for t, own in zip(texts, sentences) for s in own])
        CACHE.parent.mkdir(exist_ok=True)
        np.savez(CACHE, key=key, vectors=flat)
    return np.split(flat, np.cumsum([len(s) for s in sentences])[:-1])


# --- the readers; each trains on the texts of ``mask`` and returns tensors for the weights file


def logistic(x: Array, y: Array, c: float, weight: Array | None = None) -> tuple[Array, Array]:
    """Fit one logistic regression a theme; return weights (features, 25) and biases (25,)."""
    fits = [LogisticRegression(C=c, max_iter=300).fit(x, y[:, k], weight) for k in range(y.shape[1])]
    return np.stack([f.coef_[0] for f in fits], 1), np.array([f.intercept_[0] for f in fits])


def pooled(corpus: Corpus, maximum: bool = False) -> Array:
    """Return unit means of the sentence vectors, with their maxima where asked."""
    means = np.stack([v.mean(0) for v in corpus.vectors]).astype(float)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return np.hstack([means, np.stack([v.max(0) for v in corpus.vectors])]) if maximum else means


def train_mean(corpus: Corpus, mask: Mask, maximum: bool = False) -> dict[str, Array]:
    """Logistic regression on standardised means, with the standardisation folded in."""
    x = pooled(corpus, maximum)
    centre, scale = x.mean(0), np.maximum(x.std(0), 0.01)
    weight, bias = logistic((x[mask] - centre) / scale, corpus.labels[mask], 0.003)
    weight /= scale[:, None]
    return {"mean.weight": weight, "mean.bias": bias - centre @ weight}


def _rows(texts: list[str]) -> sparse.csr_matrix:
    found = [word_ids(t, WORDS) for t in texts]
    at = np.cumsum([0] + [len(f) for f in found])
    return sparse.csr_matrix((np.ones(at[-1]), np.concatenate(found), at), (len(texts), WORDS))


def _weighted(rows: sparse.csr_matrix, idf: Array) -> sparse.csr_matrix:
    scaled = rows @ sparse.diags(idf)
    length = np.sqrt(np.asarray(scaled.multiply(scaled).sum(1))).ravel()
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(length, 1e-6)) @ scaled)


def train_words(corpus: Corpus, mask: Mask) -> dict[str, Array]:
    """Logistic regression on hashed words; quotes count as short texts of their theme alone."""
    texts = [t for t, own in zip(corpus.texts, mask) if own]
    quotes = [(k, q) for i, k, q in corpus.quotes if mask[i]]
    rows = _rows(texts)
    idf = np.log((1 + len(texts)) / (1 + np.asarray(rows.sum(0)).ravel()))
    x = sparse.vstack([_weighted(rows, idf), _weighted(_rows([q for _, q in quotes]), idf)]).tocsr()
    y = np.vstack([corpus.labels[mask], np.eye(len(corpus.ids))[[k for k, _ in quotes]]])
    share = np.r_[np.ones(len(texts)), np.full(len(quotes), 0.3)]
    weight, bias = logistic(x, y, 30.0, share)
    return {"words.weight": weight, "words.bias": bias, "words.idf": idf}


class Net(torch.nn.Module):
    """The trainable twin of assistant.themes.Attention; inputs are scaled to unit variance or so."""

    def __init__(self, themes: int) -> None:
        super().__init__()
        self.own, self.context = torch.nn.Linear(384, HIDDEN), torch.nn.Linear(384, HIDDEN, bias=False)
        self.score, self.look = torch.nn.Linear(HIDDEN, themes), torch.nn.Linear(HIDDEN, themes, bias=False)
        self.bias = torch.nn.Parameter(torch.zeros(themes))
        self.inputs, self.hidden = torch.nn.Dropout(0.1), torch.nn.Dropout(0.4)

    def forward(self, x: torch.Tensor, m: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """x (b, n, 384), m (b, n): text logits, attention and sentence logits."""
        x = self.inputs(x) * 10
        mean = (x * m[..., None]).sum(1) / m.sum(1, keepdim=True)
        hidden = self.hidden(torch.relu(self.own(x) + self.context(mean)[:, None]))
        scores, look = self.score(hidden), self.look(hidden).masked_fill(m[..., None] == 0, -1e4)
        return (torch.softmax(look, 1) * scores).sum(1) + self.bias, look, scores


def _batch(corpus: Corpus, rows: npt.NDArray[np.int64]) -> list[torch.Tensor]:
    n = max(len(corpus.vectors[i]) for i in rows)
    x, marks = np.zeros((len(rows), n, 384), np.float32), np.zeros((len(rows), n, len(corpus.ids)), np.float32)
    m = np.zeros((len(rows), n), np.float32)
    for at, i in enumerate(rows):
        x[at, : len(corpus.vectors[i])], m[at, : len(corpus.vectors[i])] = corpus.vectors[i], 1
        marks[at, : len(corpus.vectors[i])] = corpus.marks[i]
    labels = corpus.labels[rows].astype(np.float32)
    return [torch.from_numpy(part) for part in (x, m, labels, marks)]


def _loss(net: Net, x: torch.Tensor, m: torch.Tensor, y: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
    """The text's labels, with a third of the weight on where the evidence stands."""
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    text, look, scores = net(x, m)
    aim = marks / marks.sum(1, keepdim=True).clamp(min=1)
    aside = -(aim * torch.log_softmax(look, 1)).sum() / y.sum().clamp(min=1)
    single = (bce(scores, marks, reduction="none") * m[..., None]).sum() / m.sum() / y.shape[1]
    return bce(text, y) + 0.03 * aside + 0.3 * single


def train_attention(corpus: Corpus, mask: Mask, member: int, epochs: int = 25) -> dict[str, Array]:
    """Train one member and return its tensors, the input scale folded in."""
    torch.manual_seed(SEED + member)
    order = np.random.default_rng(SEED + member)
    net, rows = Net(len(corpus.ids)).train(), np.flatnonzero(mask)
    batches = -(-len(rows) // 64)
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=epochs * batches)
    for _ in range(epochs):
        for part in np.array_split(order.permutation(rows), batches):
            optimiser.zero_grad()
            _loss(net, *_batch(corpus, part)).backward()
            optimiser.step()
            schedule.step()
    found = {
        "own": net.own.weight.T * 10,
        "context": net.context.weight.T * 10,
        "hidden_bias": net.own.bias,
        "score": net.score.weight.T,
        "score_bias": net.score.bias,
        "look": net.look.weight.T,
        "bias": net.bias,
    }
    return {f"attention{member}.{n}": t.detach().numpy().astype(float) for n, t in found.items()}


def train_all(corpus: Corpus, mask: Mask) -> dict[str, Array]:
    """Return the tensors of all three readers."""
    tensors = {**train_mean(corpus, mask), **train_words(corpus, mask)}
    for member in range(MEMBERS):
        tensors |= train_attention(corpus, mask, member)
    return tensors


def save(path: Path, tensors: dict[str, Array], corpus: Corpus) -> None:
    """Write the tensors as float16, the few calibration numbers as float32."""
    exact = {"mix.weight", "mix.bias", "thresholds", "guard", "evidence"}
    kept = {n: np.ascontiguousarray(t, np.float32 if n in exact else np.float16) for n, t in tensors.items()}
    about = {
        "themes": json.dumps(corpus.ids),
        "members": str(MEMBERS),
        "data_hash": corpus.hash,
        "date": DATE,
        "seed": str(SEED),
        "embedding": MiniLM.name,
        "thresholds": json.dumps(dict(zip(corpus.ids, np.round(tensors["thresholds"], 4).tolist()))),
        "calibration": "logistic regression on unseen hands' logits, a bias each theme",
    }
    path.parent.mkdir(exist_ok=True)
    save_file(kept, path, about)


# --- calibration, on what readers say of hands they were not trained on


@dataclass
class Unseen:
    """``logits`` (n, 25, 3); per text the sentences' logits, from attention and from words."""

    logits: Array
    marks: list[Array]
    words: list[Array]


def neutral(themes: int) -> dict[str, Array]:
    """Return calibration tensors that name nothing, for readers still in training."""
    return {
        "mix.weight": np.ones(3),
        "mix.bias": np.zeros(themes),
        "thresholds": np.full(themes, 2.0),
        "guard": np.ones(1),
        "evidence": np.array([0.0, -30.0, 1.0]),
    }


def read_unseen(corpus: Corpus, scratch: Path) -> Unseen:
    """Train once a fold and read the fold left out with the very code that will read for people."""
    n, k = corpus.labels.shape
    found = Unseen(np.zeros((n, k, 3)), [np.zeros(0)] * n, [np.zeros(0)] * n)
    for fold in range(FOLDS):
        save(scratch, train_all(corpus, corpus.fold != fold) | neutral(k), corpus)
        reader = ThemeReader(scratch)
        for i in np.flatnonzero(corpus.fold == fold):
            found.logits[i], found.marks[i] = reader.logits(corpus.texts[i], corpus.vectors[i])
            own = [reader.word_logits(s.of(corpus.texts[i])) for s in corpus.sentences[i]]
            found.words[i] = np.stack(own)
        print(f"fold {fold + 1} of {FOLDS}", file=sys.stderr, flush=True)
    scratch.unlink()
    return found


def calibrate(logits: Array, labels: Array) -> tuple[Array, Array]:
    """Return the weights of the three readers, the same for all themes, and a bias each theme."""
    n, k, parts = logits.shape
    each = sparse.csr_matrix(np.tile(np.eye(k), (n, 1)))
    x = sparse.hstack([sparse.csr_matrix(logits.reshape(-1, parts)), each]).tocsr()
    fit = LogisticRegression(C=1.0, max_iter=2000).fit(x, labels.ravel())
    return fit.coef_[0][:parts], fit.coef_[0][parts:] + fit.intercept_[0]


def threshold(scores: Array, right: Array, target: float) -> float:
    """Return the lowest score above which ``target`` of at least SUPPORT texts are right.

    One imagined error steadies small counts. Where the target is out of reach, the score of the
    best precision, as long as that is one half; else 2, which names the theme never.
    """
    order = np.argsort(-scores)
    count = np.arange(1, len(order) + 1)
    precision = np.cumsum(right[order]) / (count + 1)
    usable = (count >= SUPPORT) & (scores[order] >= FLOOR)
    reached = np.flatnonzero(usable & (precision >= target))
    if len(reached):
        return float(scores[order[reached[-1]]])
    best = int(np.argmax(np.where(usable, precision, 0)))
    return float(scores[order[best]]) if usable[best] and precision[best] >= 0.5 else 2.0


def thresholds(corpus: Corpus, scores: Array, rows: Mask) -> Array:
    """Return each theme's threshold, chosen on ``rows``; stricter for the personal themes."""
    target = [PERSONAL_TARGET if t in PERSONAL else TARGET for t in corpus.ids]
    return np.array([threshold(scores[rows, k], corpus.labels[rows, k], t) for k, t in enumerate(target)])


def name(corpus: Corpus, scores: Array, limits: Array, guard: float) -> Mask:
    """Return which themes would be named, (n, 25), as ThemeReader does before it looks for evidence."""
    above = scores >= limits
    guarded = scores[:, corpus.ids.index(GUARD)] >= guard
    for theme in GUARDED:
        above[guarded, corpus.ids.index(theme)] = False
    rank = np.argsort(np.argsort(-np.where(above, scores, -1), 1), 1)
    return above & (rank < MAX_NAMED)


def wrongly_guarded(corpus: Corpus, named: Mask) -> float:
    """Return the share of texts about belonging that wrongly get one of the guarded themes."""
    columns = [corpus.ids.index(t) for t in GUARDED]
    about = corpus.labels[:, corpus.ids.index(GUARD)] > 0
    return float((named & (corpus.labels == 0))[about][:, columns].any(1).mean())


def guard_score(corpus: Corpus, scores: Array, limits: Array) -> float:
    """Return the highest belonging score from which the guarded themes must be held back."""
    for guard in (1.1, *np.arange(0.5, 0.02, -0.02)):
        if wrongly_guarded(corpus, name(corpus, scores, limits, guard)) <= UNEQUAL:
            break
    return float(guard)


def evidence_numbers(corpus: Corpus, found: Unseen) -> tuple[Array, float]:
    """Return (share of words, floor, margin) and how often the best sentence carries the quote."""

    def best(share: float) -> tuple[float, Array]:
        own = [(i, k, found.marks[i][:, k] + share * found.words[i][:, k]) for i, k, _ in corpus.quotes]
        hits = np.mean([corpus.marks[i][int(np.argmax(s)), k] for i, k, s in own])
        return float(hits), np.array([s.max() for _, _, s in own])

    share = max((0.0, 0.1, 0.2, 0.4, 0.8), key=lambda v: best(v)[0])
    hits, tops = best(share)
    return np.array([share, np.percentile(tops, 1), 1.0]), hits


# --- the results page


def scored(corpus: Corpus, scores: Array) -> str:
    """Return table cells: micro, macro F1 at one threshold for all (best on these folds), recall@3."""
    y, rank = corpus.labels, np.argsort(np.argsort(-scores, 1), 1)
    best = (0.0, 0.0)
    for cut in np.quantile(scores, np.linspace(0.85, 0.99, 57)):
        p = (scores > cut) & (rank < 3)
        both, each = (p * y).sum(0), p.sum(0) + y.sum(0)
        best = max(best, (2 * both.sum() / each.sum(), float(np.mean(2 * both / each))))
    first = np.take_along_axis(y, np.argmax(scores, 1)[:, None], 1)[y.any(1)].mean()
    return f"{best[0]:.3f} | {best[1]:.3f} | {(y * (rank < 3)).sum() / y.sum():.3f} | {first:.3f}"


def nearest_definition(corpus: Corpus) -> Array:
    """Return cosines of each text's mean sentence vector to each theme's name and meaning."""
    groups = yaml.safe_load((ROOT / "knowledge" / "themes.yaml").read_text("utf-8"))
    meanings = [f"{t['name']}. {t['means']}" for group in groups.values() for t in group.values()]
    return pooled(corpus) @ MiniLM().encode(meanings).T


def mean_and_maximum(corpus: Corpus) -> Array:
    """Return unseen logits of the well-known baseline, regression on means and maxima."""
    x, out = pooled(corpus, maximum=True), np.zeros(corpus.labels.shape)
    for fold in range(FOLDS):
        tensors = train_mean(corpus, corpus.fold != fold, maximum=True)
        rows = corpus.fold == fold
        out[rows] = x[rows] @ tensors["mean.weight"] + tensors["mean.bias"]
    return out


def approaches(corpus: Corpus, found: Unseen, scores: Array) -> dict[str, Array]:
    """Return the unseen scores of everything tried, simplest first."""
    attention, mean, words = np.moveaxis(found.logits, 2, 0)
    return {
        "nearest definition (cosine of mean)": nearest_definition(corpus),
        "regression, hashed words": words,
        "regression, mean of sentences": mean,
        "regression, mean and maximum": mean_and_maximum(corpus),
        "sentence scores, best sentence": np.stack([m.max(0) for m in found.marks]),
        f"attention over sentences, {MEMBERS} seeds": attention,
        "mean + words": mean + words,
        "mean + attention": mean + attention,
        "all three, calibrated (kept)": scores,
    }


def held_out_names(corpus: Corpus, found: Unseen) -> Mask:
    """Name each fold with calibration, thresholds and guard chosen on the other folds."""
    named = np.zeros(corpus.labels.shape, bool)
    for fold in range(FOLDS):
        rows = corpus.fold != fold
        mix, bias = calibrate(found.logits[rows], corpus.labels[rows])
        scores = 1 / (1 + np.exp(-(found.logits @ mix + bias)))
        limits = thresholds(corpus, scores, rows)
        named[~rows] = name(corpus, scores, limits, guard_score(corpus, scores, limits))[~rows]
    return named


def page(corpus: Corpus, named: Mask, cells: dict[str, str], chosen: dict[str, Array], hits: float) -> str:
    """Return training/results-themes.md."""
    y, personal = corpus.labels > 0, [t in PERSONAL for t in corpus.ids]
    right = named & y
    some = y.any(1)
    lines = [
        "# Theme reader: figures of the training run",
        "",
        f"{DATE}, two processor cores, seed {SEED}, {len(corpus.texts)} texts, data {corpus.hash}. Six folds; "
        "each writing hand's file stands on one side, so all figures are for unseen hands.",
        "",
        "F1 with one threshold for all themes, the best on these folds, at most three themes a text.",
        "",
        "| approach | micro-F1 | macro-F1 | recall@3 | first right |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {name} | {row} |" for name, row in cells.items()),
        "",
        f"## Named themes: at most {MAX_NAMED}, calibration and thresholds from the other folds",
        "",
        f"- precision {right.sum() / named.sum():.2f}, recall {right.sum() / y.sum():.2f}, micro-F1 "
        f"{2 * right.sum() / (named.sum() + y.sum()):.2f}",
        f"- personal themes: precision {right[:, personal].sum() / named[:, personal].sum():.2f}, recall "
        f"{right[:, personal].sum() / y[:, personal].sum():.2f}",
        f"- coverage: a theme is named in {named[some].any(1).mean():.2f} of the texts that have one; none "
        f"in {(~named[~some].any(1)).mean():.2f} of those that have none",
        f"- texts about belonging that wrongly get {', '.join(GUARDED)}: {wrongly_guarded(corpus, named):.3f}",
        f"- the best-scored sentence carries the annotated quote in {hits:.2f} of the labels",
        f"- mixture {np.round(chosen['mix.weight'], 2).tolist()} (attention, mean, words), guard "
        f"{chosen['guard'][0]:.2f}, evidence (share of words, floor, margin) "
        f"{np.round(chosen['evidence'], 2).tolist()}",
        "",
        "| theme | labelled | named | precision | recall | threshold |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for k, theme in enumerate(corpus.ids):
        n, hit = named[:, k].sum(), right[:, k].sum()
        shown = f"{hit / n:.2f}" if n else "–"
        lines.append(
            f"| {theme} | {y[:, k].sum()} | {n} | {shown} | {hit / y[:, k].sum():.2f} | "
            f"{chosen['thresholds'][k]:.2f} |"
        )
    return "\n".join([*lines, ""])


def main() -> int:
    """Train, calibrate, save and report."""
    corpus = load()
    found = read_unseen(corpus, CACHE.with_name("fold.safetensors"))
    mix, bias = calibrate(found.logits, corpus.labels)
    scores = 1 / (1 + np.exp(-(found.logits @ mix + bias)))
    limits = thresholds(corpus, scores, np.ones(len(scores), bool))
    evidence, hits = evidence_numbers(corpus, found)
    chosen = {
        "mix.weight": mix,
        "mix.bias": bias,
        "thresholds": limits,
        "guard": np.array([guard_score(corpus, scores, limits)]),
        "evidence": evidence,
    }
    save(WEIGHTS, train_all(corpus, np.ones(len(scores), bool)) | chosen, corpus)
    cells = {name: scored(corpus, s) for name, s in approaches(corpus, found, scores).items()}
    RESULTS.write_text(page(corpus, held_out_names(corpus, found), cells, chosen, hits), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
