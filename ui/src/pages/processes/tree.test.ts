import { describe, expect, it } from 'vitest';

import type { Process } from '../../lib/bindings';
import { titleOf } from '../../lib/groups';
import { addTraces, groupsOf, matches, nearest, pathOf, portsOf, rowsOf, type Shown } from './tree';

const GIB = 2 ** 30;

function one(pid: number, name: string, more: Partial<Process> = {}): Process {
  return {
    pid,
    parent: 1,
    name,
    command: `/usr/bin/${name}`,
    uid: 1000,
    user: 'mara',
    container: null,
    unit: null,
    cpu_percent: 1,
    rss_bytes: 0.01 * GIB,
    vram_bytes: null,
    threads: 2,
    ports: [],
    started_ms: pid * 1000,
    cpu_trace: [],
    own: false,
    ...more,
  };
}

function shown(more: Partial<Shown> = {}): Shown {
  return {
    by: 'service',
    only: 'all',
    text: '',
    order: { key: 'cpu', descending: true },
    open: new Map(),
    unfolded: new Set(),
    me: 1000,
    ...more,
  };
}

describe('groups', () => {
  it('sum what is known and leave unknown what nobody knows', () => {
    const unit = 'chat.service';
    const [chat] = groupsOf(
      [
        one(10, 'llama-server', { unit, cpu_percent: 100, rss_bytes: 2 * GIB, vram_bytes: 15 * GIB }),
        one(11, 'shim', { unit, cpu_percent: null, rss_bytes: GIB }),
      ],
      shown(),
    );
    expect(chat).toMatchObject({
      name: 'chat',
      cpu: 100,
      rss: 3 * GIB,
      vram: 15 * GIB,
      threads: 4,
      started: 10_000,
    });
    const [fresh] = groupsOf([one(12, 'x', { unit, cpu_percent: null })], shown());
    expect(fresh).toMatchObject({ cpu: null, vram: null });
  });

  it('put single small programs under Other, but not what is large or on the GPU', () => {
    const names = groupsOf(
      [
        one(1, 'cron'),
        one(2, 'udevd'),
        one(3, 'firefox', { rss_bytes: GIB }),
        one(4, 'tiny', { vram_bytes: 5 }),
      ],
      shown({ order: { key: 'name', descending: false } }),
    ).map((g) => g.name);
    expect(names).toEqual(['firefox', 'Other', 'tiny']);
  });

  it('keep kernel threads apart, and Plimsoll under its own name', () => {
    const groups = groupsOf(
      [one(2, 'kworker/0', { command: '', rss_bytes: 0 }), one(70, 'WebKitWebProcess', { own: true })],
      shown(),
    );
    expect(groups.map((g) => g.name).sort()).toEqual(['Kernel', 'Plimsoll']);
  });

  it('stay while one process matches, and a search moves nobody to another group', () => {
    const groups = groupsOf(
      [one(1, 'cron'), one(2, 'udevd'), one(3, 'cron2', { unit: 'b.service' })],
      shown({ text: 'udev' }),
    );
    expect(groups.map((g) => [g.name, g.processes.length])).toEqual([['Other', 1]]);
  });
});

describe('order', () => {
  it('keeps groups together and puts the unknown last either way', () => {
    const list = [
      one(1, 'a', { unit: 'a.service', vram_bytes: 1 }),
      one(2, 'a', { unit: 'a.service', vram_bytes: 9 }),
      one(3, 'b', { unit: 'b.service', vram_bytes: 20 }),
      one(4, 'c', { unit: 'c.service' }),
    ];
    const order = (descending: boolean) =>
      groupsOf(list, shown({ order: { key: 'vram', descending } })).map((g) => g.processes.map((p) => p.pid));
    expect(order(true)).toEqual([[3], [2, 1], [4]]);
    expect(order(false)).toEqual([[1, 2], [3], [4]]);
  });

  it('is settled by the pid where values are equal, so that rows do not swap', () => {
    const list = [one(9, 'x', { unit: 'a.service' }), one(3, 'x', { unit: 'a.service' })];
    expect(groupsOf(list, shown())[0]?.processes.map((p) => p.pid)).toEqual([3, 9]);
  });
});

describe('filters', () => {
  it('find by name, whole pid, user, command line and container', () => {
    const p = one(4121, 'llama-server', { command: 'llama-server --port 8080', container: 'chat-1' });
    for (const text of ['LLAMA', '4121', 'mara', '8080', 'chat-1', '  llama '])
      expect(matches(p, text)).toBe(true);
    for (const text of ['412', 'redis']) expect(matches(p, text)).toBe(false);
  });

  it('find who listens on a port, with and without the colon', () => {
    const p = one(4121, 'llama-server', { ports: [8080, 9090] });
    for (const text of ['8080', ':8080', ' :9090 ']) expect(matches(p, text)).toBe(true);
    for (const text of [':80', '808', ':4121', ':']) expect(matches(p, text)).toBe(false);
    expect(portsOf(p)).toBe(':8080 :9090');
    expect(portsOf(one(1, 'x', { ports: [1, 2, 3, 4] }))).toBe(':1 :2 +2');
    expect(portsOf(one(1, 'x'))).toBe('');
  });

  it('Listening keeps those with a port, opens their groups and folds none of them', () => {
    const list = Array.from({ length: 20 }, (_, i) =>
      one(i + 1, `s${i}`, { unit: 'a.service', ports: i % 2 ? [8000 + i] : [] }),
    );
    const view = shown({ only: 'listening' });
    const rows = rowsOf(groupsOf(list, view), view);
    expect(rows.filter((r) => r.type === 'process')).toHaveLength(10);
    expect(rows.some((r) => r.type === 'more')).toBe(false);
  });

  it('On the GPU and Mine leave the others out', () => {
    const list = [one(1, 'a', { vram_bytes: 0 }), one(2, 'b', { uid: 0, user: 'root' })];
    const pids = (only: Shown['only']) =>
      groupsOf(list, shown({ only })).flatMap((g) => g.processes.map((p) => p.pid));
    expect(pids('gpu')).toEqual([1]);
    expect(pids('mine')).toEqual([1]);
  });
});

describe('rows', () => {
  const many = [
    one(1, 'big', { unit: 'd.service', rss_bytes: 5 * GIB }),
    ...Array.from({ length: 40 }, (_, i) => one(100 + i, 'small', { unit: 'd.service', cpu_percent: 0 })),
  ];

  it('fold small processes into one line that unfolds', () => {
    const open = new Map([['service:d.service', true]]);
    const groups = groupsOf(many, shown());
    const rows = rowsOf(groups, shown({ open }));
    expect(rows.map((r) => r.type)).toEqual(['group', 'process', 'process', 'process', 'more']);
    expect(rows.at(-1)).toMatchObject({ hidden: 38 });
    expect(rowsOf(groups, shown({ open, unfolded: new Set(['service:d.service']) }))).toHaveLength(42);
  });

  it('open a group of one only where its row says something new', () => {
    const list = [
      one(1, 'firefox', { vram_bytes: GIB }),
      one(2, 'python3', { command: 'python3 agent.py', vram_bytes: GIB }),
    ];
    const view = shown();
    const open = rowsOf(groupsOf(list, view), view).flatMap((r) =>
      r.type === 'group' ? [[r.group.name, r.open]] : [],
    );
    expect(Object.fromEntries(open)).toEqual({ firefox: false, python3: true });
  });

  it('never fold what was searched for', () => {
    const search = shown({ text: 'small' });
    expect(rowsOf(groupsOf(many, search), search).filter((r) => r.type === 'process')).toHaveLength(40);
  });

  it('are plain processes when grouped by None', () => {
    const none = shown({ by: 'none' });
    expect(rowsOf(groupsOf(many, none), none).every((r) => r.type === 'process')).toBe(true);
  });

  it('of 2000 processes are made without quadratic work', () => {
    let reads = 0;
    const list = Array.from({ length: 2000 }, (_, i) =>
      Object.defineProperty(one(i + 2, `p${i % 300}`), 'rss_bytes', {
        get: () => {
          reads += 1;
          return i * 1000;
        },
      }),
    );
    const rows = rowsOf(
      groupsOf(list, shown({ order: { key: 'rss', descending: true } })),
      shown({ by: 'none' }),
    );
    expect(rows).toHaveLength(2000);
    // Sorting reads two values a comparison, n log n of them at most.
    expect(reads).toBeLessThan(2000 * 2 * 16);
  });

  it('leave the keyboard where it was when a process has ended', () => {
    const none = shown({ by: 'none', order: { key: 'pid', descending: false } });
    const rows = rowsOf(groupsOf(many, none), none);
    expect(nearest(rows, 'p:101', 0)).toBe(2);
    expect(nearest(rows, 'p:99999', 5)).toBe(5);
    expect(nearest(rows, 'p:99999', 500)).toBe(40);
  });
});

describe('traces', () => {
  it('are added from their newest ends, and a gap stays a gap', () => {
    expect(
      addTraces([
        [1, null, 3],
        [10, null],
      ]),
    ).toEqual([1, 10, 3]);
    expect(addTraces([[null], [null]])).toEqual([null]);
  });

  it('break at a gap and keep the spike', () => {
    const path = pathOf([1, null, 4, 2], 4, 100, 16);
    expect(path.match(/M/g)).toHaveLength(2);
    expect(path).toContain(' 2.0');
    expect(pathOf([0, 0], 4, 100, 16)).toBe('');
  });
});

it('an interpreter is named with its script', () => {
  expect(titleOf(one(1, 'python3', { command: 'python3 -u /srv/agent.py --x' }))).toBe('python3 agent.py');
  expect(titleOf(one(1, 'python3', { command: 'python3' }))).toBe('python3');
  expect(titleOf(one(1, 'redis', { command: 'redis a b' }))).toBe('redis');
});
