import { expect, it } from 'vitest';

import { partsOf, PROGRAMS, shell, snippetsOf, type Fill } from './snippets';

const fill: Fill = {
  url: 'http://127.0.0.1:1876/v1',
  container: 'http://host.docker.internal:1876/v1',
  containerListens: true,
  key: 'plm-Vk3r-9tQd',
  model: 'qwen2.5-14b',
  endpoint: 'chat',
};
const text = (id: (typeof PROGRAMS)[number][0], more: Partial<Fill> = {}) =>
  snippetsOf(id, { ...fill, ...more }).map((s) => s.text);

it('each program is given the real address, key and model', () => {
  for (const [id] of PROGRAMS) {
    for (const lines of text(id)) {
      expect(lines).toContain('1876');
      expect(lines).toContain('plm-Vk3r-9tQd');
      if (id !== 'open-webui') expect(lines).toContain('qwen2.5-14b');
    }
  }
});

it('the SDK is shown in both of its languages', () => {
  const [python, typescript] = text('openai');
  expect(python).toContain('base_url="http://127.0.0.1:1876/v1"');
  expect(typescript).toContain('baseURL: "http://127.0.0.1:1876/v1"');
});

it('Claude Code asks without /v1, a container by the name of its host', () => {
  expect(text('claude-code')[0]).toContain('ANTHROPIC_BASE_URL=http://127.0.0.1:1876\n');
  expect(text('open-webui')[0]).toContain('OPENAI_API_BASE_URL=http://host.docker.internal:1876/v1');
});

it('Claude Code is given the model for all that it asks, and no second key', () => {
  const lines = text('claude-code')[0]!.split('\n');
  for (const name of ['MODEL', 'DEFAULT_HAIKU_MODEL', 'DEFAULT_SONNET_MODEL', 'DEFAULT_OPUS_MODEL']) {
    expect(lines).toContain(`export ANTHROPIC_${name}=qwen2.5-14b`);
  }
  expect(lines).toContain('unset ANTHROPIC_API_KEY');
  expect(snippetsOf('claude-code', fill)[0]!.about).toContain('ANTHROPIC_API_KEY must not be set');
});

it('Continue’s file is whole', () => {
  const [lines] = text('continue');
  expect(lines).toMatch(/^name: Plimsoll\nversion: 0\.0\.1\nschema: v1\nmodels:\n {2}- name: /);
});

it('a container is never told to ask itself', () => {
  const [bridge, host] = snippetsOf('open-webui', fill);
  expect(bridge!.text).not.toContain('127.0.0.1');
  expect(bridge!.text).toContain('--add-host=host.docker.internal:host-gateway');
  // There 127.0.0.1 is this machine.
  expect(host!.text).toContain('--network=host');
  expect(host!.text).not.toContain('-p 3000');
  const alone = snippetsOf('open-webui', { ...fill, container: null, containerListens: false });
  expect(alone.map((s) => s.id)).toEqual(['host']);
});

it('what a container still needs is said', () => {
  const bare = snippetsOf('open-webui', { ...fill, key: '', containerListens: false })[0]!;
  expect(bare.about).toContain('Listen there too');
  expect(bare.about).toContain('needs a key');
  expect(bare.text).toContain('OPENAI_API_KEY=YOUR_KEY');
  expect(snippetsOf('open-webui', fill)[0]!.about).not.toContain('needs a key');
});

it('without a key curl sends none, and programs that want one get a word', () => {
  expect(text('curl', { key: '' })[0]).not.toContain('Authorization');
  expect(text('openai', { key: '' })[0]).toContain('api_key="none"');
});

it('an embedding model is asked for embeddings', () => {
  expect(text('curl', { endpoint: 'embeddings' })[0]).toContain('/v1/embeddings');
  expect(text('openai', { endpoint: 'embeddings' })[0]).toContain('client.embeddings.create');
});

it('a name cannot break out of its line', () => {
  expect(shell("a'; rm -rf ~")).toBe(`'a'\\''; rm -rf ~'`);
  expect(text('openai', { model: 'a"b\nc' })[0]).toContain('model="a\\"b\\nc"');
});

it('a person’s own values stand out, and nothing is lost', () => {
  const lines = text('openai')[0]!;
  const parts = partsOf(lines, [fill.url, fill.key, fill.model]);
  expect(parts.filter((p) => p.own).map((p) => p.text)).toEqual([fill.url, fill.key, fill.model]);
  expect(parts.map((p) => p.text).join('')).toBe(lines);
  expect(partsOf('abc', [''])).toEqual([{ text: 'abc', own: false }]);
});
