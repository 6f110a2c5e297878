// npm's `openai` against the gateway, as a program would use it. Each check prints one line of
// JSON; the first that fails ends with its error. Where things are comes from the environment.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const { BASE_URL, MODEL, EMBEDDER, CLIENTS } = process.env;
const { OpenAI } = createRequire(CLIENTS + '/')('openai');
const messages = [{ role: 'user', content: 'What does the mark on a hull say?' }];

const client = (apiKey = 'none') =>
  new OpenAI({ baseURL: BASE_URL, apiKey, maxRetries: 0, timeout: 60_000 });
const told = (check, figures = {}) => console.log(JSON.stringify({ check, ok: true, ...figures }));

async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const checks = {
  async models(ask) {
    const names = (await all(ask.models.list())).map((model) => model.id).sort();
    assert.deepEqual(names, [MODEL, EMBEDDER].sort());
    told('models', { names });
  },
  async chat(ask) {
    const answer = await ask.chat.completions.create({ model: MODEL, messages, max_tokens: 8 });
    assert.ok(answer.choices[0].message.content);
    assert.equal(answer.usage.completion_tokens, 8);
    told('chat', { tokens: answer.usage.total_tokens });
  },
  async stream(ask) {
    const asked = { model: MODEL, messages, max_tokens: 16, stream: true };
    const chunks = await all(await ask.chat.completions.create(asked));
    assert.ok(chunks.every((chunk) => chunk.choices.length > 0 && !chunk.usage));
    assert.equal(chunks.at(-1).choices[0].finish_reason, 'length');
    told('stream', { chunks: chunks.length });
  },
  async usage(ask) {
    const stream_options = { include_usage: true };
    const asked = { model: MODEL, messages, max_tokens: 16, stream: true, stream_options };
    const chunks = await all(await ask.chat.completions.create(asked));
    assert.equal(chunks.at(-1).usage.completion_tokens, 16);
    told('usage', { tokens: chunks.at(-1).usage.total_tokens });
  },
  async embeddings(ask) {
    const answer = await ask.embeddings.create({ model: EMBEDDER, input: ['a hull', 'a mark'] });
    assert.equal(answer.data.length, 2);
    assert.ok(answer.data[0].embedding.length > 1);
    told('embeddings', { dimensions: answer.data[0].embedding.length });
  },
  async responses(ask) {
    const answer = await ask.responses.create({
      model: MODEL,
      input: 'Say it briefly.',
      max_output_tokens: 16,
    });
    assert.ok(answer.output_text);
    told('responses', { tokens: answer.usage.total_tokens });
  },
  async cancel(ask) {
    const asked = { model: MODEL, messages, max_tokens: 50_000, stream: true };
    const going = await ask.chat.completions.create(asked);
    let seen = 0;
    for await (const _ of going) if (++seen === 3) break;
    going.controller.abort();
    told('cancel');
  },
  async wrong_key() {
    const asked = { model: MODEL, messages, max_tokens: 1 };
    const wrong = client('plm-1111-2222-3333-4444-5555').chat.completions.create(asked);
    await assert.rejects(wrong, (error) => error.status === 401 && error.code === 'invalid_api_key');
    told('wrong_key');
  },
  async context_overflow(ask) {
    const long = [{ role: 'user', content: 'hull '.repeat(200_000) }];
    const asked = ask.chat.completions.create({ model: MODEL, messages: long });
    await assert.rejects(asked, (error) => error.status === 400);
    told('context_overflow');
  },
};

for (const check of Object.values(checks)) await check(client());
