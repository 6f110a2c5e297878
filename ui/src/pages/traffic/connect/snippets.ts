// What a person pastes into a program, with the real address, key and model. Pure.

import type { Endpoint } from '../../../lib/bindings';

export interface Fill {
  /** Ends with `/v1`. */
  url: string;
  /** For programs in containers; `null` where there is no bridge. */
  container: string | null;
  /** The gateway listens at that bridge already. */
  containerListens: boolean;
  /** Empty: none is needed, and programs that want one get a word. */
  key: string;
  model: string;
  endpoint: Endpoint;
}

export interface Snippet {
  id: string;
  /** Where the same can be had in several ways: the name of this one, e.g. a language. */
  way?: string;
  text: string;
  /** What to do with it, one sentence; empty where it says itself. */
  about: string;
}

export const PROGRAMS = [
  ['openai', 'OpenAI SDK'],
  ['curl', 'curl'],
  ['open-webui', 'Open WebUI'],
  ['continue', 'Continue'],
  ['claude-code', 'Claude Code'],
  ['langchain', 'LangChain'],
] as const;
export type ProgramId = (typeof PROGRAMS)[number][0];

/** Programs demand some key, though this machine's own need none. */
export const NO_KEY = 'none';
/** Where one is demanded and none was chosen yet. */
export const KEY_WANTED = 'YOUR_KEY';

const isEmbedding = (endpoint: Endpoint) => endpoint === 'embeddings' || endpoint === 'ollama_embed';

/** As Python, JavaScript, JSON and YAML all read it. */
const quote = (text: string): string => JSON.stringify(text);

/** For a shell: nothing in it is read as anything else. */
export function shell(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The address without the version behind it. */
const root = (url: string) => url.replace(/\/v1\/?$/, '');

export function snippetsOf(program: ProgramId, fill: Fill): Snippet[] {
  const { url, model } = fill;
  const key = fill.key || NO_KEY;
  const embeds = isEmbedding(fill.endpoint);
  switch (program) {
    case 'openai':
      return [
        {
          id: 'python',
          way: 'Python',
          about: 'pip install openai',
          text: [
            'from openai import OpenAI',
            '',
            'client = OpenAI(',
            `    base_url=${quote(url)},`,
            `    api_key=${quote(key)},`,
            ')',
            ...(embeds
              ? [
                  'r = client.embeddings.create(',
                  `    model=${quote(model)},`,
                  '    input="Say hello.",',
                  ')',
                  'print(len(r.data[0].embedding))',
                ]
              : [
                  'r = client.chat.completions.create(',
                  `    model=${quote(model)},`,
                  '    messages=[{"role": "user", "content": "Say hello."}],',
                  ')',
                  'print(r.choices[0].message.content)',
                ]),
          ].join('\n'),
        },
        {
          id: 'typescript',
          way: 'TypeScript',
          about: 'npm install openai',
          text: [
            "import OpenAI from 'openai';",
            '',
            'const client = new OpenAI({',
            `  baseURL: ${quote(url)},`,
            `  apiKey: ${quote(key)},`,
            '});',
            ...(embeds
              ? [
                  'const r = await client.embeddings.create({',
                  `  model: ${quote(model)},`,
                  "  input: 'Say hello.',",
                  '});',
                  'console.log(r.data[0].embedding.length);',
                ]
              : [
                  'const r = await client.chat.completions.create({',
                  `  model: ${quote(model)},`,
                  "  messages: [{ role: 'user', content: 'Say hello.' }],",
                  '});',
                  'console.log(r.choices[0].message.content);',
                ]),
          ].join('\n'),
        },
      ];
    case 'curl': {
      const body = embeds
        ? JSON.stringify({ model, input: 'Say hello.' })
        : JSON.stringify({ model, messages: [{ role: 'user', content: 'Say hello.' }] });
      return [
        {
          id: 'curl',
          about: '',
          text: [
            `curl ${shell(`${url}/${embeds ? 'embeddings' : 'chat/completions'}`)} \\`,
            ...(fill.key ? [`  -H ${shell(`Authorization: Bearer ${fill.key}`)} \\`] : []),
            "  -H 'Content-Type: application/json' \\",
            `  -d ${shell(body)}`,
          ].join('\n'),
        },
      ];
    }
    case 'open-webui':
      return openWebui(fill);
    case 'continue':
      return [
        {
          id: 'continue',
          about:
            'The whole of ~/.continue/config.yaml. Where you have one already, add the entry to its list under models.',
          text: [
            'name: Plimsoll',
            'version: 0.0.1',
            'schema: v1',
            'models:',
            `  - name: ${quote(model)}`,
            '    provider: openai',
            `    model: ${quote(model)}`,
            `    apiBase: ${quote(url)}`,
            `    apiKey: ${quote(key)}`,
            `    roles: [${embeds ? 'embed' : 'chat, edit, apply'}]`,
          ].join('\n'),
        },
      ];
    case 'claude-code':
      return [
        {
          id: 'claude-code',
          about:
            'It asks /v1/messages itself: the address stands without /v1. What it does beside the conversation asks for models of its own, so each of them is named. ANTHROPIC_API_KEY must not be set beside the token.',
          text: [
            'unset ANTHROPIC_API_KEY',
            `export ANTHROPIC_BASE_URL=${shell(root(url))}`,
            `export ANTHROPIC_AUTH_TOKEN=${shell(key)}`,
            ...['MODEL', 'DEFAULT_OPUS_MODEL', 'DEFAULT_SONNET_MODEL', 'DEFAULT_HAIKU_MODEL'].map(
              (name) => `export ANTHROPIC_${name}=${shell(model)}`,
            ),
            'claude',
          ].join('\n'),
        },
      ];
    case 'langchain':
      return [
        {
          id: 'langchain',
          about: 'pip install langchain-openai',
          text: embeds
            ? [
                'from langchain_openai import OpenAIEmbeddings',
                '',
                'embeddings = OpenAIEmbeddings(',
                `    base_url=${quote(url)},`,
                `    api_key=${quote(key)},`,
                `    model=${quote(model)},`,
                '    check_embedding_ctx_length=False,',
                ')',
                'print(len(embeddings.embed_query("Say hello.")))',
              ].join('\n')
            : [
                'from langchain_openai import ChatOpenAI',
                '',
                'llm = ChatOpenAI(',
                `    base_url=${quote(url)},`,
                `    api_key=${quote(key)},`,
                `    model=${quote(model)},`,
                ')',
                'print(llm.invoke("Say hello.").content)',
              ].join('\n'),
        },
      ];
  }
}

/** Within a container 127.0.0.1 is the container itself: it asks by the bridge, or shares this
 * machine's network. */
function openWebui({ url, container, containerListens, key }: Fill): Snippet[] {
  const run = (network: readonly string[], base: string, token: string) =>
    [
      ...network,
      `  -e OPENAI_API_BASE_URL=${shell(base)} \\`,
      `  -e OPENAI_API_KEY=${shell(token)} \\`,
      '  -v open-webui:/app/backend/data \\',
      '  ghcr.io/open-webui/open-webui:main',
    ].join('\n');
  const host: Snippet = {
    id: 'host',
    way: 'Host network',
    about: `${
      container === null ? 'No bridge of Docker or Podman was found here. ' : ''
    }The container shares this machine’s network, where 127.0.0.1 is this machine. Its page is at port 8080.`,
    text: run(['docker run -d --network=host \\'], url, key || NO_KEY),
  };
  if (container === null) return [host];
  const needs = [
    containerListens ? '' : 'First choose “Listen there too” above. ',
    key ? '' : 'A container needs a key: choose one above. ',
  ].join('');
  const bridge: Snippet = {
    id: 'bridge',
    way: 'Bridge',
    about: `${needs}Or in Open WebUI: Admin settings, Connections, OpenAI API. Its page is at port 3000.`,
    text: run(
      ['docker run -d -p 3000:8080 \\', '  --add-host=host.docker.internal:host-gateway \\'],
      container,
      key || KEY_WANTED,
    ),
  };
  return [bridge, host];
}

/** The parts of a text that a person's own values are: they are shown so that they stand out. */
export function partsOf(text: string, values: readonly string[]): { text: string; own: boolean }[] {
  const own = [...new Set(values.filter((v) => v.length > 0))].sort((a, b) => b.length - a.length);
  const out: { text: string; own: boolean }[] = [];
  let from = 0;
  for (let i = 0; i < text.length;) {
    const hit = own.find((v) => text.startsWith(v, i));
    if (hit === undefined) {
      i += 1;
      continue;
    }
    if (i > from) out.push({ text: text.slice(from, i), own: false });
    out.push({ text: hit, own: true });
    i += hit.length;
    from = i;
  }
  if (from < text.length) out.push({ text: text.slice(from), own: false });
  return out;
}
