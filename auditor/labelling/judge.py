"""Items in, judgements out: a reader that is any OpenAI-compatible chat endpoint.

Worker threads ask, one item a request; judgements come out in the order of the items. A usable
answer is in the cache before it is given out, so a killed run loses only the answers in flight.
An item without a usable answer is a judgement without labels, with its reason: never "absent".
"""

import json
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any, cast

import openai

from auditor.errors import BadInput, UsageError
from auditor.labelling import prompts
from auditor.labelling.codebook import Codebook, Item, Judgement
from auditor.labelling.prompts import FAILED, QUOTED_CHARS, REFUSED, Message, Reply, Summary
from auditor.progress import Progress

CONNECT_SECONDS = 10.0
GRACE_SECONDS = 2.0
"""How long a run that is broken off waits for the answers in flight, so as to keep them."""

DEAD_AFTER = 3
"""Items lost in a row to a cause no item escapes, of HINTS or no connection, before a run stops."""
LOST_AFTER = 20
"""The same for causes that may lie in the items: time-outs, server errors, refused requests."""

HINTS = {
    401: "set OPENAI_API_KEY",
    403: "check that the key may use this model",
    404: "check the model's name, and that the address is what stands before /chat/completions",
    429: "ask for less at a time, or later: answers so far are kept",
}

OPTIONS: dict[str, Any] = {"temperature": 0, "response_format": {"type": "json_object"}}
FILTER_CODES = ("content_filter", "content_policy_violation")


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Which endpoint reads, and how hard it may be asked.

    url: what stands before /chat/completions; budget: tokens as the endpoint reports them, None
    for no end; timeout: seconds; retries: of one request, each after a longer wait (half a second
    at first, 8 at most, or what the endpoint asks for up to two minutes); api_key: None for
    OPENAI_API_KEY. Raises UsageError where the endpoint could not be asked at all.
    """

    url: str
    model: str
    concurrency: int = 4
    budget: int | None = None
    timeout: float = 60.0
    retries: int = 6
    api_key: str | None = field(default=None, repr=False)
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would only fail later, and slowly."""
        if not self.url.startswith(("http://", "https://")):
            raise UsageError(f"judge is {self.url!r}", "an address as http://localhost:8000/v1")
        if self.concurrency < 1 or self.retries < 0 or self.timeout <= 0:
            raise UsageError("a judge needs concurrency ≥ 1, retries ≥ 0 and timeout > 0")

    def client(self) -> openai.OpenAI:
        """Open a connection; servers without keys ignore the one that is sent."""
        key = self.api_key or os.environ.get("OPENAI_API_KEY") or "none"
        wait = openai.Timeout(self.timeout, connect=min(CONNECT_SECONDS, self.timeout))
        return openai.OpenAI(base_url=self.url, api_key=key, timeout=wait, max_retries=self.retries)


class JudgeCache:
    """Judgements by the question asked, in a file of JSON lines that only grows.

    Each line starts with its own line break, so that one cut short by a kill spoils no other.
    """

    def __init__(self, path: Path) -> None:
        """Read the file where there is one; a line that is no judgement is passed over."""
        self._path = path
        self._lock = Lock()
        self._kept = dict(_read_kept(path)) if path.exists() else {}

    def get(self, question: str) -> Judgement | None:
        """The judgement given to this question; None where there was none."""
        return self._kept.get(question)

    def put(self, question: str, judgement: Judgement) -> None:
        """Keep a judgement; it is with the operating system before this returns."""
        row = {**asdict(judgement), "at": judgement.at.isoformat(), "question": question}
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write("\n" + json.dumps(row))
            self._kept[question] = judgement


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One item's end: no judgement where the budget was spent.

    patience: how many such failures in a row a run bears, 0 for none; hint: what the user can do.
    """

    judgement: Judgement | None
    patience: int = 0
    hint: str = ""


_Done = SimpleQueue[tuple[int, _Outcome] | Exception]
_Todo = SimpleQueue[tuple[int, Item]]


class Judge:
    """A chat endpoint that reads items by a codebook; `summary` is of the latest run."""

    def __init__(
        self,
        codebook: Codebook,
        settings: JudgeSettings,
        cache: JudgeCache,
        progress: Progress,
        now: Callable[[], datetime],
    ) -> None:
        """Nothing is sent before `run`; `prompt` is the SHA-256 of the instructions."""
        self.summary = Summary()
        self.prompt = prompts.prompt_hash(codebook)
        self._system = prompts.instructions(codebook)
        self._codebook, self._settings, self._cache = codebook, settings, cache
        self._progress, self._now = progress, now
        self._wanted = OPTIONS | ({} if settings.seed is None else {"seed": settings.seed})
        self._options: Mapping[str, Any] = self._wanted
        self._lock = Lock()

    def run(self, items: Sequence[Item]) -> Iterator[Judgement]:
        """Judge the items, in their order; those the budget did not reach are passed over.

        A kept answer costs no request. Raises BadInput where the endpoint answers nothing any
        more; what it answered before is kept.
        """
        self.summary = Summary()
        outcomes: dict[int, _Outcome] = {}
        todo: _Todo = SimpleQueue()
        for number, item in enumerate(items):
            if kept := self._cache.get(self._question(item)):
                outcomes[number] = _Outcome(kept)
            else:
                todo.put((number, item))
        self.summary.cached = len(outcomes)
        task = self._progress.task("judging", len(items), "items")
        with closing(self._arriving(todo)) as arriving, task as counted:
            for number, item in enumerate(items):
                while number not in outcomes:
                    outcomes.update([next(arriving)])
                judgement = outcomes.pop(number).judgement
                self.summary.count(judgement)
                counted.advance(1)
                if judgement:
                    yield replace(judgement, key=item.key)
        self.summary.not_taken = tuple(sorted(self._wanted.keys() - self._options.keys()))
        if "temperature" in self.summary.not_taken:
            self._progress.warn("the judge takes no temperature: it may not answer twice alike")

    def _arriving(self, todo: _Todo) -> Generator[tuple[int, _Outcome]]:
        done: _Done = SimpleQueue()
        stop = Event()
        expected, in_a_row = todo.qsize(), 0
        workers = [
            Thread(target=self._work, args=(todo, done, stop), daemon=True)
            for _ in range(min(self._settings.concurrency, expected))
        ]
        for worker in workers:
            worker.start()
        try:
            for _ in range(expected):
                arrived = done.get()
                if isinstance(arrived, Exception):
                    raise arrived
                outcome = arrived[1]
                in_a_row = in_a_row + 1 if outcome.patience else 0
                if in_a_row and in_a_row >= outcome.patience and outcome.judgement:
                    what = f"{in_a_row} items in a row {outcome.judgement.reason}"
                    raise BadInput(f"judge {self._settings.url}: {what}", outcome.hint)
                yield arrived
        finally:
            stop.set()
            for worker in workers:
                worker.join(GRACE_SECONDS / len(workers))

    def _work(self, todo: _Todo, done: _Done, stop: Event) -> None:
        try:
            with self._settings.client() as client:
                while not stop.is_set():
                    number, item = todo.get_nowait()
                    done.put((number, self._outcome(client, item)))
        except Empty:
            return
        except Exception as error:  # raised again in the thread of the caller
            done.put(error)

    def _outcome(self, client: openai.OpenAI, item: Item) -> _Outcome:
        if self._is_spent():
            return _Outcome(None)
        patience, hint = 0, ""
        self._count(asked=1)
        try:
            labels, reason = prompts.converse(
                prompts.opening(self._system, item),
                self._codebook,
                lambda messages: self._send(client, messages, self._options),
                lambda: not self._is_spent(),
            )
        except openai.APIError as error:
            self._count(retries=int(error.request.headers.get("x-stainless-retry-count", 0)))
            labels, (reason, patience, hint) = None, _failure(error)
        reader, prompt = self._settings.model, self.prompt
        judgement = Judgement(
            item.key, labels, reader, "model", "judge", self._now(), prompt, reason
        )
        if reason in (None, REFUSED):
            self._cache.put(self._question(item), judgement)
        return _Outcome(judgement, patience, hint)

    def _send(
        self, client: openai.OpenAI, messages: list[Message], options: Mapping[str, Any]
    ) -> Reply:
        create = client.chat.completions.with_raw_response.create
        try:
            raw = create(model=self._settings.model, messages=cast(Any, messages), **options)
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            named = [o for o in options if o in str(error)] or ["response_format"]
            fewer = {o: value for o, value in options.items() if o not in named}
            if error.code in FILTER_CODES or len(fewer) == len(options):
                raise
            return self._send(client, messages, fewer)
        try:
            reply = prompts.read_reply(raw.text, messages)
        except ValueError as error:
            raise openai.APIError(str(error), raw.http_request, body=None) from None
        self._options = options  # what this endpoint is known to take
        self._count(tokens=reply.tokens, retries=raw.retries_taken)
        return reply

    def _count(self, asked: int = 0, tokens: int = 0, retries: int = 0) -> None:
        with self._lock:
            self.summary.asked += asked
            self.summary.tokens += tokens
            self.summary.retries += retries

    def _is_spent(self) -> bool:
        budget = self._settings.budget
        return budget is not None and self.summary.tokens >= budget

    def _question(self, item: Item) -> str:
        settings = self._settings
        asked = [settings.model, settings.seed, self.prompt, item.context, item.text]
        return sha256(json.dumps(asked).encode()).hexdigest()


def _failure(error: openai.APIError) -> tuple[str, int, str]:
    """The reason of a judgement, how often in a row it may come, and what the user can do."""
    if error.code in FILTER_CODES:
        return REFUSED, 0, ""
    words = " ".join(f"{error} {error.__cause__ or ''}".split())[:QUOTED_CHARS]
    hint = HINTS.get(getattr(error, "status_code", 0))
    if "Connect" in type(error.__cause__).__name__:
        hint = "check the address, and that the server is running"
    again = "answers so far are kept: the same command goes on from here"
    return f"{FAILED}: {words}", DEAD_AFTER if hint else LOST_AFTER, hint or again


def _read_kept(path: Path) -> Iterator[tuple[str, Judgement]]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                row = json.loads(line)
                question, at = row.pop("question"), datetime.fromisoformat(row.pop("at"))
                labels = None if row["labels"] is None else tuple(row.pop("labels"))
                yield question, Judgement(**{**row, "labels": labels}, at=at)
            except (ValueError, LookupError, TypeError, AttributeError):
                continue  # a line cut short by a kill; its item is asked again
