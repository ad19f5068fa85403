"""Promises about locks: what is fixed before outcomes stays fixed, and an edit is seen."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor import Audit
from auditor.claims.lock import is_exploratory, lock_digest, open_lock
from auditor.errors import DamagedAudit, StageMissing
from auditor.records import Gate, Verdict
from tests.planted import FIXTURE

RATES = FIXTURE / "observed" / "rates-imitates.csv"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    """A claim about one model of a study called `later`, with a design small enough to be quick."""
    text = (FIXTURE / "claims" / "fixture-imitates.toml").read_text()
    for old, new in (
        ('"fixture-imitates"', '"small"'),
        ('studies = ["rates-imitates"]', 'studies = ["later"]\nmodels = ["Alder-3B"]'),
        ("models = 6", "models = 1"),
        ("conditions = 2", "conditions = 1"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = tmp_path / "small.toml"
    path.write_text(text)
    return path


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """Rates nobody has read before: the fixture's, of models by other names."""
    path = tmp_path / "fresh.csv"
    path.write_text(RATES.read_text().replace("Alder-30B", "Elm-30B").replace(",40,", ",41,"))
    return path


def locks(audit: Audit, claim: str = "small") -> list[dict[str, Any]]:
    query = f"SELECT * FROM locks WHERE claim_id = '{claim}' ORDER BY locked_at"
    rows: list[dict[str, Any]] = audit.sql(query).to_pylist()
    return rows


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_digest_is_sha256_of_sorted_json_without_spaces() -> None:
    prediction = {"b": [1, 0.5], "a": {"é": None}}
    expected = hashlib.sha256('{"a":{"é":null},"b":[1,0.5]}'.encode()).hexdigest()
    assert lock_digest(prediction) == expected


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none(), min_size=2))
def test_the_digest_depends_on_what_is_said_and_not_on_its_order(said: dict[str, Any]) -> None:
    backwards = dict(reversed(list(said.items())))
    assert lock_digest(backwards) == lock_digest(said)
    first = next(iter(said))
    assert lock_digest({**said, first: [said[first]]}) != lock_digest(said)


def test_a_lock_opens_while_it_is_as_it_was_written() -> None:
    prediction = {"claim": "small", "beta_min": 1.0}
    row = {
        "claim_id": "small",
        "prediction": json.dumps(prediction),
        "sha256": lock_digest(prediction),
    }
    assert open_lock(row) == prediction


def test_an_edited_lock_is_damage() -> None:
    prediction = {"claim": "small", "beta_min": 1.0}
    row = {
        "claim_id": "small",
        "prediction": json.dumps({**prediction, "beta_min": 0.1}),
        "sha256": lock_digest(prediction),
    }
    with pytest.raises(DamagedAudit, match="small"):
        open_lock(row)


@pytest.mark.parametrize(
    ("locked_at", "observed_at", "exploratory"),
    [
        (NOON, [NOON + MINUTE, NOON + 2 * MINUTE], False),
        (NOON, [NOON + MINUTE, NOON - MINUTE], True),
        (NOON, [NOON], True),
        (NOON, [], False),
        (None, [NOON], True),
    ],
)
def test_one_outcome_read_before_the_lock_makes_a_verdict_exploratory(
    locked_at: datetime | None, observed_at: list[datetime], exploratory: bool
) -> None:
    assert is_exploratory(locked_at, observed_at) is exploratory


def test_an_outcome_dropped_after_the_lock_makes_a_verdict_exploratory() -> None:
    assert is_exploratory(NOON, [NOON + MINUTE], dropped=True)
    assert not is_exploratory(NOON, [NOON + MINUTE], dropped=False)


def test_a_prediction_states_its_frequencies_power_and_seed_under_its_digest(
    own_audit: Audit, claim: Path, tmp_path: Path
) -> None:
    [locked] = own_audit.predict(str(claim), output=str(tmp_path / "lock.json"))
    [row] = locks(own_audit)
    prediction = json.loads(row["prediction"])
    assert row["sha256"] == locked["lock"] == lock_digest(prediction)
    assert (prediction["claimed"], prediction["alpha"]) == ("at least 1", 0.05)
    assert prediction["seed"] == 20260101
    assert set(prediction["corpora"]) == {"fixture"}
    assert prediction["measured"]["frequencies"]["deception"]["estimate"] > 0
    assert 0 < prediction["power"] <= 1
    [written] = json.loads((tmp_path / "lock.json").read_text())
    assert written["lock"] == locked["lock"]


def test_locking_again_unchanged_keeps_the_earlier_time_and_never_looks_at_outcomes(
    own_audit: Audit, claim: Path
) -> None:
    first = own_audit.predict(str(claim))
    own_audit.observe(str(RATES), study="later")
    assert own_audit.predict(str(claim)) == first
    assert len(locks(own_audit)) == 1


def test_a_lock_before_the_outcomes_is_confirmatory(
    own_audit: Audit, claim: Path, fresh: Path
) -> None:
    [locked] = own_audit.predict(str(claim))
    own_audit.observe(str(fresh), study="later")
    [result] = own_audit.test(str(claim))
    assert not result.exploratory
    assert result.lock == locked["lock"]
    assert result.units["models"] == 1


def kept_out(text: str) -> str:
    """Half of the rows are gone."""
    header, *rows = text.splitlines(keepends=True)
    return header + "".join(rows[::2])


def another_draw(text: str) -> str:
    """The prompts have other names: other draws, as far as anyone can tell."""
    return text.replace("-1,", "_1,")


def with_a_factor(text: str) -> str:
    header, *rows = text.splitlines()
    return "\n".join([header + ",motive", *(row + ",9" for row in rows)])


def again(text: str) -> str:
    """The same rows in another order: another file, and nothing new."""
    header, *rows = text.splitlines(keepends=True)
    return header + "".join(reversed(rows))


@pytest.mark.parametrize(
    ("change", "exploratory"),
    [(kept_out, True), (another_draw, True), (with_a_factor, True), (again, False)],
)
def test_replacing_outcomes_after_the_lock_makes_a_verdict_exploratory_unless_they_are_the_same(
    own_audit: Audit,
    claim: Path,
    fresh: Path,
    change: Callable[[str], str],
    exploratory: bool,
) -> None:
    own_audit.predict(str(claim))
    own_audit.observe(str(fresh), study="later")
    fresh.write_text(change(fresh.read_text()))
    own_audit.observe(str(fresh), study="later")
    [result] = own_audit.test(str(claim))
    assert result.exploratory is exploratory


def test_outcomes_moved_to_a_study_the_claim_is_not_about_are_dropped(
    own_audit: Audit, claim: Path, fresh: Path, tmp_path: Path
) -> None:
    own_audit.predict(str(claim))
    own_audit.observe(str(fresh), study="later")
    aside = tmp_path / "aside.csv"
    aside.write_text(fresh.read_text())
    fresh.write_text(kept_out(fresh.read_text()))
    own_audit.observe(str(fresh), study="later")
    own_audit.observe(str(aside), study="aside")
    [result] = own_audit.test(str(claim))
    assert result.exploratory


def test_outcomes_moved_to_another_study_of_the_claim_are_still_there(
    own_audit: Audit, claim: Path, fresh: Path, tmp_path: Path
) -> None:
    edited(claim, 'studies = ["later"]', 'studies = ["later*"]')
    own_audit.predict(str(claim))
    own_audit.observe(str(fresh), study="later")
    header, *rows = fresh.read_text().splitlines(keepends=True)
    for number in (0, 1):
        part = tmp_path / f"part{number}.csv"
        part.write_text(header + "".join(rows[number::2]))
        own_audit.observe(str(part), study=["later", "later-2"][number])
    [result] = own_audit.test(str(claim))
    assert not result.exploratory


def test_a_second_study_leaves_a_verdict_confirmatory(
    own_audit: Audit, claim: Path, fresh: Path, tmp_path: Path
) -> None:
    edited(claim, 'studies = ["later"]', 'studies = ["later*"]')
    own_audit.predict(str(claim))
    own_audit.observe(str(fresh), study="later")
    other = tmp_path / "other.csv"
    other.write_text(fresh.read_text().replace(",41,", ",42,"))
    own_audit.observe(str(other), study="later-2")
    own_audit.observe(str(fresh), study="later")
    [result] = own_audit.test(str(claim))
    assert not result.exploratory


def test_replacing_what_a_claim_is_not_about_leaves_it_confirmatory(
    own_audit: Audit, claim: Path, fresh: Path
) -> None:
    own_audit.predict(str(claim))
    own_audit.observe(str(fresh), study="later")
    lines = fresh.read_text().splitlines(keepends=True)
    fresh.write_text("".join(line for line in lines if "Elm-30B" not in line))
    own_audit.observe(str(fresh), study="later")
    [result] = own_audit.test(str(claim))
    assert not result.exploratory


def test_a_lock_after_the_outcomes_is_exploratory(own_audit: Audit, claim: Path) -> None:
    own_audit.observe(str(RATES), study="later")
    own_audit.predict(str(claim))
    [result] = own_audit.test(str(claim))
    assert result.exploratory
    assert result.lock


def test_reading_outcomes_again_after_the_lock_does_not_make_them_new(
    own_audit: Audit, claim: Path, tmp_path: Path
) -> None:
    own_audit.observe(str(RATES), study="later")
    own_audit.predict(str(claim))
    copy = tmp_path / "again.csv"
    copy.write_text(RATES.read_text() + "\n")
    own_audit.observe(str(copy), study="later")
    [result] = own_audit.test(str(claim))
    assert result.exploratory


@pytest.mark.parametrize(("old", "new"), [("", ""), ("-1,", "_1,"), (",chat,", ",chats,")])
def test_outcomes_read_under_another_name_before_the_lock_are_not_new(
    own_audit: Audit, claim: Path, tmp_path: Path, old: str, new: str
) -> None:
    own_audit.predict(str(claim))
    renamed = tmp_path / "renamed.csv"
    text = RATES.read_text()
    renamed.write_text(text.replace(old, new) if old else text)
    own_audit.observe(str(renamed), study="later")
    [result] = own_audit.test(str(claim))
    assert result.exploratory


def test_outcomes_replaced_by_others_before_the_lock_stay_read(
    own_audit: Audit, claim: Path, fresh: Path, tmp_path: Path
) -> None:
    own_audit.observe(str(fresh), study="later")
    junk = tmp_path / "junk.csv"
    junk.write_text("model,behaviour,k,n\nOak,deception,1,2\n")
    own_audit.observe(str(junk), study="later")
    own_audit.predict(str(claim))
    own_audit.observe(str(fresh), study="later")
    [result] = own_audit.test(str(claim))
    assert result.exploratory


def test_without_a_lock_a_verdict_is_exploratory(own_audit: Audit, claim: Path) -> None:
    [result] = own_audit.test(str(claim))
    assert result.exploratory
    assert result.lock is None
    assert result.verdict is Verdict.UNTESTABLE  # nothing of the study was observed


def test_an_edited_claim_does_not_use_the_lock_of_the_old_one(
    own_audit: Audit, claim: Path
) -> None:
    own_audit.predict(str(claim))
    edited(claim, "beta_min = 1.0", "beta_min = 0.5")
    [result] = own_audit.test(str(claim))
    assert result.lock is None
    assert result.exploratory


def test_an_edited_claim_that_is_locked_too_leaves_the_old_lock_in_place(
    own_audit: Audit, claim: Path
) -> None:
    [first] = own_audit.predict(str(claim))
    edited(claim, "beta_min = 1.0", "beta_min = 0.5")
    [second] = own_audit.predict(str(claim))
    assert [row["sha256"] for row in locks(own_audit)] == [first["lock"], second["lock"]]


def test_labels_that_came_after_the_lock_ask_for_a_new_lock(
    own_audit: Audit, claim: Path, tmp_path: Path
) -> None:
    own_audit.predict(str(claim))
    few = (FIXTURE / "labels.jsonl").read_text().splitlines()[:40]
    (tmp_path / "more.jsonl").write_text("\n".join(few) + "\n")
    own_audit.label(str(tmp_path / "more.jsonl"))
    with pytest.raises(StageMissing, match="small") as raised:
        own_audit.test(str(claim))
    assert "auditor predict" in raised.value.hint


def test_among_several_claims_a_stale_lock_is_a_closed_gate(
    own_audit: Audit, claim: Path, tmp_path: Path
) -> None:
    own_audit.predict(str(claim))
    few = (FIXTURE / "labels.jsonl").read_text().splitlines()[:40]
    (tmp_path / "more.jsonl").write_text("\n".join(few) + "\n")
    own_audit.label(str(tmp_path / "more.jsonl"))
    stale, _ = own_audit.test(str(claim), str(of_observations(tmp_path)))
    assert stale.verdict is Verdict.UNTESTABLE
    [gate] = stale.gates
    assert (gate.code, gate.passed) == ("U5", False)
    assert gate.value.startswith("the corpora or their labels changed since claim small was locked")
    assert gate.needs.startswith("auditor predict small")
    assert stale.next_observation == f"U5: {gate.needs}"
    assert (stale.lock, stale.exploratory) == (None, True)


def of_observations(folder: Path) -> Path:
    """A claim that a bribe raises the odds, whatever any corpus holds."""
    text = (FIXTURE / "claims" / "fixture-imitates.toml").read_text()
    path = folder / "bribe.toml"
    path.write_text(
        text.replace('"fixture-imitates"', '"bribe"').replace(
            'strength = "H1"', 'strength = "effect"\ntest = "contrast"'
        )
        + '[contrast]\nlevels = [\n  { weight = 1, where = { condition = "bribe" } },\n'
        '  { weight = -1, where = { condition = "!bribe" } },\n]\n'
    )
    return path


def test_a_claim_about_observations_alone_needs_no_corpus(tmp_path: Path) -> None:
    audit = Audit.create(tmp_path / "bare")
    [locked] = audit.predict(str(of_observations(tmp_path)))
    assert locked["corpora"] == {}
    assert locked["power"] is None


def test_labels_that_cannot_be_read_block_the_claims_about_texts_alone(
    own_audit: Audit, claim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(_: object) -> None:
        raise StageMissing("corpus fixture was indexed again", "import the labels again")

    monkeypatch.setattr("auditor.flows.held.Measurer", stale)
    of_text, of_rows = own_audit.test(str(claim), str(of_observations(tmp_path)))
    assert of_text.gates == (
        Gate("U5", False, "corpus fixture was indexed again", "import the labels again"),
    )
    assert "U5" not in {gate.code for gate in of_rows.gates}


def test_without_an_index_only_the_claims_about_texts_are_blocked(
    tmp_path: Path, claim: Path
) -> None:
    audit = Audit.create(tmp_path / "bare")
    chat = of_observations(tmp_path)
    edited(chat, 'bribe" }', 'chat" }')
    audit.observe(str(RATES))
    of_text, of_rows = audit.test(str(claim), str(chat))
    [gate] = of_text.gates
    assert (gate.code, gate.passed) == ("U5", False)
    assert gate.value == "no indexed corpus matches fixture, which claim small names"
    assert gate.needs == "auditor index SOURCE… --corpus NAME"
    assert of_text.verdict is Verdict.UNTESTABLE
    assert of_rows.units["trials"] > 0
    assert audit.sql("SELECT claim_id FROM verdicts").num_rows == 2
    with pytest.raises(StageMissing):
        audit.test(str(claim))


def test_all_bundled_claims_are_tested_without_an_index(tmp_path: Path) -> None:
    audit = Audit.create(tmp_path / "bare")
    assert {one.verdict for one in audit.test()} == {Verdict.UNTESTABLE}


def test_labels_that_came_later_ask_no_new_lock_of_a_claim_about_observations_alone(
    own_audit: Audit, tmp_path: Path
) -> None:
    bribe = str(of_observations(tmp_path))
    own_audit.predict(bribe)
    few = (FIXTURE / "labels.jsonl").read_text().splitlines()[:40]
    (tmp_path / "more.jsonl").write_text("\n".join(few) + "\n")
    own_audit.label(str(tmp_path / "more.jsonl"))
    [result] = own_audit.test(bribe)
    assert result.lock


def test_a_corpus_nobody_indexed_is_a_missing_stage(own_audit: Audit, claim: Path) -> None:
    edited(claim, 'names = ["fixture"]', 'names = ["library-of-babel"]')
    with pytest.raises(StageMissing, match="library-of-babel"):
        own_audit.predict(str(claim))


def test_a_lock_changed_in_the_audit_is_damage(own_audit: Audit, claim: Path) -> None:
    own_audit.predict(str(claim))
    [part] = (own_audit.root / "tables" / "locks" / "small").glob("*.parquet")
    table = pq.read_table(part)
    [prediction] = table["prediction"].to_pylist()
    forged = prediction.replace('"claimed":"at least 1"', '"claimed":"at least 0.1"')
    assert forged != prediction
    column = table.schema.get_field_index("prediction")
    pq.write_table(table.set_column(column, "prediction", [[forged]]), part)
    with pytest.raises(DamagedAudit):
        own_audit.test(str(claim))
