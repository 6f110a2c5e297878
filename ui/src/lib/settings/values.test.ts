import { describe, expect, it } from 'vitest';

import type { SettingSpec, SettingState, SettingType, SettingValue } from '../bindings';
import {
  asText,
  after,
  finds,
  itemsOf,
  memberOf,
  parse,
  presets,
  rangeOf,
  slug,
  stage,
  titleOf,
  variableOf,
  write,
  type Item,
} from './values';

function item(
  accepts: SettingType,
  standard: SettingValue,
  more: { spec?: Partial<SettingSpec>; state?: Partial<SettingState> } = {},
): Item {
  const key = more.state?.key ?? 'history.max_mib';
  return {
    key,
    spec: {
      key,
      section: 'History',
      label: 'Most disk space',
      meaning: 'Most space.',
      accepts,
      unit: null,
      default: standard,
      conservative: null,
      aggressive: null,
      live: true,
      ...more.spec,
    },
    state: { key, spec: key, value: standard, default: standard, origin: { from: 'default' }, ...more.state },
  };
}

const whole = item({ type: 'integer', min: 64, max: 1024 }, 512);

describe('typing a value', () => {
  it('accepts what people type and names what is allowed otherwise', () => {
    expect(parse(whole.spec, ' 128 ')).toEqual({ value: 128, problem: null });
    expect(parse(whole.spec, '1 000').value).toBe(1000);
    for (const wrong of ['', 'lots', '12.5', '63', '1025', '1e2', '0x40']) {
      expect(parse(whole.spec, wrong).problem, wrong).toBe('It is a whole number, 64–1024.');
    }
  });

  it('reads a decimal comma and a true minus', () => {
    const number = item({ type: 'number', min: -10, max: 10 }, 0).spec;
    expect(parse(number, '0,30').value).toBe(0.3);
    expect(parse(number, '−2.5').value).toBe(-2.5);
    expect(parse(number, '1,2,3').problem).not.toBeNull();
  });

  it('splits lists, refuses relative paths and unknown choices', () => {
    expect(parse(item({ type: 'list', max_items: 2 }, []).spec, 'a=debug, ,b=info').value).toEqual([
      'a=debug',
      'b=info',
    ]);
    expect(parse(item({ type: 'list', max_items: 2 }, []).spec, 'a,b,c').problem).toBe(
      'It has at most 2 parts.',
    );
    expect(parse(item({ type: 'path' }, '').spec, 'lib/x.so').problem).toContain('absolute');
    expect(parse(item({ type: 'path' }, '').spec, '').value).toBe('');
    expect(parse(item({ type: 'choice', options: ['a', 'b'] }, 'a').spec, 'c').problem).toBe(
      'It is one of a, b.',
    );
  });
});

it('ends that are no limits are not written as numbers', () => {
  expect(rangeOf(item({ type: 'number', min: -9.007e15, max: 9.007e15 }, 0).spec)).toBe('any number');
  expect(rangeOf(item({ type: 'number', min: 0, max: 9.007e15 }, 0).spec)).toBe('0 or more');
});

describe('staging', () => {
  const inFile = item({ type: 'integer', min: 1, max: 99 }, 10, {
    state: { value: 20, origin: { from: 'file', line: 3 } },
  });

  it('of the value in force takes the stage away', () => {
    const once = stage(new Map(), inFile, 30);
    expect([...once]).toEqual([['history.max_mib', 30]]);
    expect(stage(once, inFile, 20).size).toBe(0);
  });

  it('of the default takes the line out of the file', () => {
    expect(stage(new Map(), inFile, 10).get('history.max_mib')).toBeNull();
    expect(stage(new Map(), inFile, null).get('history.max_mib')).toBeNull();
    expect(after(inFile, stage(new Map(), inFile, 10))).toBe(10);
  });

  it('of the default changes nothing where it is in force, even when the file says it', () => {
    expect(stage(new Map(), whole, 512).size).toBe(0);
    const said = item({ type: 'integer', min: 1, max: 99 }, 10, {
      state: { value: 10, origin: { from: 'file', line: 3 } },
    });
    expect(stage(new Map([['history.max_mib', 12]]), said, 10).size).toBe(0);
  });

  it('compares lists by their parts', () => {
    const list = item({ type: 'list', max_items: 4 }, [], {
      state: { value: ['a'], origin: { from: 'file', line: 1 } },
    });
    expect(stage(new Map(), list, ['a']).size).toBe(0);
    expect(stage(new Map(), list, ['a', 'b']).size).toBe(1);
  });
});

it('a balanced preset is the default of this very key', () => {
  const preset = item({ type: 'integer', min: 1, max: 99 }, 10, {
    spec: { conservative: 5, aggressive: null, default: 30 },
  });
  expect(presets(preset).map((p) => [p.letter, p.value])).toEqual([
    ['C', 5],
    ['B', 10],
  ]);
  expect(presets(whole)).toEqual([]);
});

it('settings stand in the order of the schema, and unknown ones are left out', () => {
  const specs = [
    { ...whole.spec, key: 'b' },
    { ...whole.spec, key: 'a.*.x' },
  ];
  const state = (key: string, spec: string) => ({ ...whole.state, key, spec });
  const items = itemsOf(specs, [
    state('a.2.x', 'a.*.x'),
    state('gone', 'gone'),
    state('a.1.x', 'a.*.x'),
    state('b', 'b'),
  ]);
  expect(items.map((i) => i.key)).toEqual(['b', 'a.1.x', 'a.2.x']);
});

it('a search needs every word, anywhere', () => {
  expect(finds(whole, 'space max_mib')).toBe(true);
  expect(finds(whole, 'SPACE alerts')).toBe(false);
});

it('words for people', () => {
  expect(slug('GPU and power')).toBe('gpu-and-power');
  expect([write(true), write(''), write([]), write(['a', 'b']), write(4)]).toEqual([
    'on',
    'empty',
    'none',
    'a, b',
    '4',
  ]);
  const rule = item({ type: 'switch' }, true, {
    spec: { label: 'On' },
    state: { key: 'alerts.rules.gpu-hot.enabled' },
  });
  expect(titleOf(rule)).toBe('gpu-hot: On');
  expect(variableOf('alerts.rules.gpu-hot.threshold')).toBe('PLIMSOLL_ALERTS__RULES__GPU_HOT__THRESHOLD');
});

it('a number that may be a word is read as either', () => {
  const { spec } = item({ type: 'integer_or', min: 1, max: 64, words: ['auto'] }, 'auto');
  expect(rangeOf(spec)).toBe('auto or 1–64');
  expect(parse(spec, ' auto ').value).toBe('auto');
  expect(parse(spec, '8').value).toBe(8);
  for (const wrong of ['0', '65', '1.5', 'many', ''])
    expect(parse(spec, wrong).problem).toBe('It is auto or a whole number, 1–64.');
});

it('a list whose parts hold commas is written and read in quotes', () => {
  const list = item({ type: 'list', max_items: 4 }, []);
  const command = ['llama-server', '-m', 'a, b.gguf'];
  expect(asText(command)).toBe('["llama-server","-m","a, b.gguf"]');
  expect(parse(list.spec, asText(command)).value).toEqual(command);
  expect(asText(['a', 'b'])).toBe('a, b');
  expect(parse(list.spec, '["a"').problem).toContain('quoted texts');
  expect(parse(list.spec, '[1]').problem).toContain('quoted texts');
});

it("a service's setting says whose it is", () => {
  const { spec, state } = item({ type: 'switch' }, true);
  expect(titleOf({ key: 'services.chat.enabled', spec, state })).toBe(`chat: ${spec.label}`);
  expect(titleOf({ key: 'services.discover', spec, state })).toBe(spec.label);
});

it('the settings of a service stand together', () => {
  const { spec } = item({ type: 'switch' }, true);
  const specs = ['services.discover', 'services.*.url', 'services.*.kind'].map((key) => ({ ...spec, key }));
  const state = (key: string, of: string): SettingState => ({
    key,
    spec: of,
    value: '',
    default: '',
    origin: { from: 'default' },
  });
  const items = itemsOf(specs, [
    state('services.b.url', 'services.*.url'),
    state('services.a.kind', 'services.*.kind'),
    state('services.b.kind', 'services.*.kind'),
    state('services.a.url', 'services.*.url'),
    state('services.discover', 'services.discover'),
  ]);
  expect(items.map((i) => i.key)).toEqual([
    'services.discover',
    'services.a.url',
    'services.a.kind',
    'services.b.url',
    'services.b.kind',
  ]);
  expect(memberOf('services.discover')).toBeNull();
  expect(memberOf('gateway.clients.max_in_flight')).toBeNull();
  expect(memberOf('gateway.queue.max')).toBeNull();
  expect(memberOf('gateway.routes.fast.models')).toEqual({ one: 'Route', id: 'fast' });
  expect(memberOf('gateway.clients.ide.program')).toEqual({ one: 'Client', id: 'ide' });
});
