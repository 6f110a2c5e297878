"""PyPI's `openai` against the gateway, as a program would use it.

Each check prints one line of JSON, `{"check": NAME, "ok": true, …}`; the first that fails ends
with its traceback. Where things are comes from the environment.
"""

import json
import os
import threading
import time

import openai

BASE = os.environ["BASE_URL"]
MODEL, EMBEDDER = os.environ["MODEL"], os.environ["EMBEDDER"]
MESSAGES = [{"role": "user", "content": "What does the mark on a hull say?"}]


def client(key="none"):
    # Nothing is tried again: each answer is looked at.
    return openai.OpenAI(base_url=BASE, api_key=key, max_retries=0, timeout=60)


def told(check, **figures):
    print(json.dumps({"check": check, "ok": True, **figures}), flush=True)


def chat(ask):
    answer = ask.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=8)
    assert answer.choices[0].message.content, answer
    assert answer.usage.completion_tokens == 8, answer.usage
    told("chat", tokens=answer.usage.total_tokens)


def stream(ask):
    chunks = list(
        ask.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=16, stream=True)
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text and chunks[-1].choices[0].finish_reason == "length", chunks[-1]
    # Nobody asked for usage: no chunk without a choice may come.
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    told("stream", chunks=len(chunks))


def usage(ask):
    chunks = list(
        ask.chat.completions.create(
            model=MODEL,
            messages=MESSAGES,
            max_tokens=16,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].usage.completion_tokens == 16, chunks[-1]
    told("usage", tokens=chunks[-1].usage.total_tokens)


def embeddings(ask):
    answer = ask.embeddings.create(model=EMBEDDER, input=["a hull", "a mark"])
    assert len(answer.data) == 2 and len(answer.data[0].embedding) > 1, answer
    told("embeddings", dimensions=len(answer.data[0].embedding))


def responses(ask):
    answer = ask.responses.create(model=MODEL, input="Say it briefly.", max_output_tokens=16)
    assert answer.output_text, answer
    told("responses", tokens=answer.usage.total_tokens)


def models(ask):
    names = sorted(model.id for model in ask.models.list())
    assert names == sorted([MODEL, EMBEDDER]), names
    told("models", names=names)


def cancel(ask):
    going = ask.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=50_000, stream=True
    )
    for _ in range(3):
        next(going)
    going.close()
    told("cancel")


def wrong_key(_):
    try:
        chat(client("plm-1111-2222-3333-4444-5555"))
    except openai.AuthenticationError as error:
        assert error.status_code == 401 and error.code == "invalid_api_key", error
        return told("wrong_key", says=error.body["message"])
    raise AssertionError("it was let in")


def context_overflow(ask):
    long = [{"role": "user", "content": "hull " * 200_000}]
    try:
        ask.chat.completions.create(model=MODEL, messages=long)
    except openai.BadRequestError as error:
        return told("context_overflow", says=str(error)[:200])
    raise AssertionError("it was answered")


def unknown_model(ask):
    try:
        ask.chat.completions.create(model="no-such", messages=MESSAGES)
    except openai.NotFoundError as error:
        return told("unknown_model", says=error.body["message"])
    raise AssertionError("it was answered")


def queue_full(ask):
    # One at once and one that waits: the third is told so at once.
    going = ask.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=50_000, stream=True
    )
    next(going)
    waited = []
    waiter = threading.Thread(target=lambda: waited.append(once(ask)), daemon=True)
    waiter.start()
    refused = None
    until = time.monotonic() + 20
    while refused is None and time.monotonic() < until:
        try:
            # Until the other waits, this is the one that waits: not for long, then.
            ask.with_options(timeout=0.5).chat.completions.create(
                model=MODEL, messages=MESSAGES, max_tokens=1
            )
        except openai.RateLimitError as error:
            refused = error
        except openai.APITimeoutError:
            pass
    assert refused is not None, "nothing was refused"
    assert refused.response.headers["retry-after"], refused.response.headers
    going.close()
    waiter.join(30)
    assert waited == [True], "who waited was answered"
    told("queue_full", code=refused.code, limit=refused.response.headers["x-plimsoll-limit"])


def once(ask):
    answer = ask.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=1)
    return bool(answer.choices)


CHECKS = [
    models, chat, stream, usage, embeddings, responses,
    cancel, wrong_key, context_overflow, unknown_model, queue_full,
]

for check in CHECKS:
    check(client())
