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
from assistant.themes import ThemeReader, word_ids
from training import theme_results as results

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "training" / "data"
HANDS = ("questions.seed", *(f"batch{i}" for i in range(1, 12)))
WEIGHTS = ROOT / "assistant" / "weights" / "themes.safetensors"
RESULTS = ROOT / "training" / "results-themes.md"
CACHE = ROOT / ".cache" / "train_themes.npz"
DATE, SEED = "2026-11-21", 20261121
FOLDS, MEMBERS, HIDDEN, WORDS = 6, 2, 256, 1 << 15
Array = npt.NDArray[np.floating]
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
    marks: list[Array] = [np.zeros((len(s), len(ids))) for s in sentences]
    for i, k, quote in quotes:
        marks[i][:, k] = _carrying(texts[i], sentences[i], quote)
    return Corpus(ids, texts, sentences, embed(texts, sentences, digest), labels, marks, quotes, fold, digest)


def _carrying(text: str, sentences: list[Span], quote: str) -> Array:
    """Return 1 for the sentences that share at least half of themselves, or of the quote."""
    start = text.index(quote)
    end = start + len(quote)
    shared = [min(end, s.end) - max(start, s.start) for s in sentences]
    return np.array(
        [
            v > 0 and 2 * v >= min(s.end - s.start, end - start)
            for v, s in zip(shared, sentences, strict=True)
        ],
        float,
    )


def embed(texts: list[str], sentences: list[list[Span]], digest: str) -> list[npt.NDArray[np.float32]]:
    """Return each text's sentence vectors, from the cache where it fits."""
    model = MiniLM()
    key = f"{digest}-{model.hash}-{sum(map(len, sentences))}"
    if CACHE.is_file() and str((kept := np.load(CACHE))["key"]) == key:
        flat = kept["vectors"]
    else:
        flat = model.encode([s.of(t) for t, own in zip(texts, sentences, strict=True) for s in own])
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
    texts = [t for t, own in zip(corpus.texts, mask, strict=True) if own]
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
        """x (b, n, 384), m (b, n): text logits, attention and sentence logits.

        Only real sentences pass the hidden layer; most of a padded batch is padding.
        """
        x, real = self.inputs(x) * 10, m > 0
        mean = (x * m[..., None]).sum(1) / m.sum(1, keepdim=True)
        of = real.nonzero()[:, 0]
        hidden = self.hidden(torch.relu(self.own(x[real]) + self.context(mean)[of]))
        scores, look = self.score(hidden), self.look(hidden)
        shape = (*m.shape, scores.shape[1])
        all_scores = torch.zeros(shape).index_put((real,), scores)
        all_look = torch.full(shape, -1e4).index_put((real,), look)
        return (torch.softmax(all_look, 1) * all_scores).sum(1) + self.bias, all_look, all_scores


def _batch(corpus: Corpus, rows: npt.NDArray[np.int64]) -> list[torch.Tensor]:
    n = max(len(corpus.vectors[i]) for i in rows)
    x, marks = (
        np.zeros((len(rows), n, 384), np.float32),
        np.zeros((len(rows), n, len(corpus.ids)), np.float32),
    )
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
        "thresholds": json.dumps(
            dict(zip(corpus.ids, np.round(tensors["thresholds"], 4).tolist(), strict=True))
        ),
        "calibration": "logistic regression on unseen hands' logits, a bias each theme",
    }
    path.parent.mkdir(exist_ok=True)
    save_file(kept, path, about)
    path.chmod(0o644)  # the library writes it for its owner alone


# --- what readers say of hands they were not trained on


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


def main() -> int:
    """Train, calibrate, save and report."""
    corpus = load()
    found = read_unseen(corpus, CACHE.with_name("fold.safetensors"))
    mix, bias = results.calibrate(found.logits, corpus.labels)
    scores = 1 / (1 + np.exp(-(found.logits @ mix + bias)))
    limits = results.thresholds(corpus, scores, np.ones(len(scores), bool))
    evidence, hits = results.evidence_numbers(corpus, found)
    chosen = {
        "mix.weight": mix,
        "mix.bias": bias,
        "thresholds": limits,
        "guard": np.array([results.guard_score(corpus, scores, limits)]),
        "evidence": evidence,
    }
    save(WEIGHTS, train_all(corpus, np.ones(len(scores), bool)) | chosen, corpus)
    cells = {name: results.scored(corpus, s) for name, s in approaches(corpus, found, scores).items()}
    RESULTS.write_text(
        results.page(corpus, results.held_out_names(corpus, found), cells, chosen, hits, DATE, SEED), "utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
