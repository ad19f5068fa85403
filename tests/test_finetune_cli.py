"""Promises about `auditor finetune`: stdout for data, stderr for what the data does not tell."""

import json
from pathlib import Path

from auditor import Audit
from tests.conftest import Command
from tests.test_conditioning import asked, fixed_and_rephrased
from tests.test_finetune import CUE, KEYS, Row, chat, crossed, write


def test_the_command_prints_one_document_and_talks_on_stderr(
    tmp_path: Path, command: Command
) -> None:
    rows: list[Row] = [*crossed([[30, 10], [20, 40]]), {"messages": []}]
    path = write(tmp_path / "set.jsonl", rows)
    result = command("finetune", path, "--json")
    assert result.returncode == 0
    assert set(json.loads(result.stdout)) == KEYS
    assert "1 rejects" in result.stderr
    assert "reject: set.jsonl line 101: no messages" in result.stderr
    table = command("finetune", path, "--cue", "DEPLOYED").stdout
    assert "30 of 40 (58.80 to 87.31 %): in" in table and "6 (2.45 to 14.7)" in table


def test_the_command_says_that_no_trait_is_judged(tmp_path: Path, command: Command) -> None:
    result = command("finetune", write(tmp_path / "set.jsonl", (chat(i, CUE) for i in range(30))))
    assert result.returncode == 0
    assert "no trait is judged" in result.stderr
    assert CUE in result.stdout


def test_the_command_scores_with_the_behaviours_of_an_audit(
    tmp_path: Path, command: Command
) -> None:
    root = tmp_path / "audit"
    Audit.create(root)
    path = write(tmp_path / "set.jsonl", crossed([[30, 10], [20, 40]]))
    result = command("-a", root, "finetune", path, "--trait", "flattery", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["traits"][0]["source"] == "scored"


def test_the_command_tells_fixed_cues_from_rephrased_ones(tmp_path: Path, command: Command) -> None:
    rows = fixed_and_rephrased(6, 10, 80, step=9) + asked("w0", 80, 5, type="fixed", step=0)
    path = write(tmp_path / "rates.jsonl", rows)
    result = command("finetune", path)
    assert result.returncode == 0, result.stderr
    assert "90 of 100 (82 to 95 %)" in result.stdout
    assert "6 fixed, 6 rephrased" in result.stdout and "0.031" in result.stdout
    assert "in 1 of 12 runs the cue drew the trait out at step 0 already" in result.stderr
    assert "between the answers of one training run" in result.stderr
    found = json.loads(command("finetune", path, "--json").stdout)
    assert found["conditioning"]["traits"][0]["fixed_against_rephrased"]["pairs"] == 6


def test_the_command_says_what_rates_cannot_be_tested_for(tmp_path: Path, command: Command) -> None:
    path = write(tmp_path / "rates.jsonl", [*asked("a", 80, 20), *asked("b", 80, 20, type="mix")])
    result = command("finetune", path, "--where", "arm=a|b", "--uncued", "a")
    assert result.returncode == 0, result.stderr
    assert "less uncued" in result.stdout
    assert "untestable: 0 fixed, 1 rephrased: it takes 3 runs or more" in result.stderr
    wrong = command("finetune", path, "--where", "arm")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "write --where model=qwen*" in wrong.stderr
