"""The layout that the question writer is trained in: a tree of answers reads as each branch would alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.knowledge import cases
from training import reader_data, writer_data

pytestmark = pytest.mark.models


def test_a_branch_sees_what_it_follows_and_nothing_beside_it() -> None:
    import torch
    from transformers import LlamaConfig, LlamaModel

    from training.train_writer import Row

    row = Row()
    prompt = row.add([5, 6, 7], -1, learned=False)
    quotation = row.add([8, 9], prompt, learned=True)
    first = row.add([10, 11], quotation, learned=True)
    row.add([12], quotation, learned=False)
    other = row.add([8, 13], prompt, learned=False)
    row.add([14, 10], other, learned=False)
    tree = row.tree
    assert tree.depths == [0, 1, 2, 3, 4, 5, 6, 5, 3, 4, 5, 6] and tree.follows[first] == quotation
    # What foretells a learned piece stands before it in its branch, not in the line.
    assert row.told == [(2, 3), (3, 4), (4, 5), (5, 6)]
    assert tree.foretold_from(other) == [2, 8] and tree.foretold_from(tree.add([], other)) == []

    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    config._attn_implementation = "eager"
    model = LlamaModel(config).eval()
    mask = torch.where(torch.from_numpy(tree.sees()), 0.0, torch.finfo(torch.float32).min)[None, None]
    with torch.inference_mode():
        together = model(
            input_ids=torch.tensor([tree.pieces]),
            attention_mask=mask,
            position_ids=torch.tensor([tree.depths]),
        ).last_hidden_state[0]
        for branch in ([0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 7], [0, 1, 2, 8, 9, 10, 11]):
            alone = model(input_ids=torch.tensor([[tree.pieces[at] for at in branch]])).last_hidden_state[0]
            assert torch.allclose(together[branch], alone, atol=1e-5)


def test_what_was_written_and_judged_belongs_to_texts_that_have_the_theme() -> None:
    for example in (*writer_data.written(), *(e for part in writer_data.judged() for e in part)):
        assert example.evidence in example.text and example.quote in example.text
        assert all(option.text.endswith("?") for options in example.options.values() for option in options)


def test_no_case_comes_from_a_hand_that_tests() -> None:
    held = {row["id"] for hand in reader_data.HELD_OUT for row in reader_data.rows(hand)}
    rows = [json.loads(line) for line in writer_data.QUOTED.read_text("utf-8").splitlines()]
    assert not held & {row["id"] for row in rows}


def test_the_cases_shipped_are_those_learned_from(tmp_path: Path) -> None:
    made = [json.dumps(row, ensure_ascii=False) for row in writer_data.cases()]
    (tmp_path / "cases.jsonl").write_text("\n".join(made), encoding="utf-8")
    assert cases.load(tmp_path) == cases.load()
