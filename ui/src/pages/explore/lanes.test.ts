import { describe, expect, it } from 'vitest';

import type { AlertRule, Mark, SeriesInfo, SubjectKind, Unit } from '../../lib/bindings';
import { lowered, subjectOf, titleOf } from '../../lib/series';
import { branchesOf, endOf, gapReason, lanesOf, loadOf, PER_LANE, sectionsOf, unitOf } from './lanes';

const info = (
  metric: string,
  label: string,
  kind: SubjectKind,
  unit: Unit,
  subject = '',
  counter = false,
): SeriesInfo => ({
  key: { metric, subject },
  label,
  subject_kind: kind,
  kind: counter ? 'counter' : 'gauge',
  unit,
  cadence_ms: 1000,
  last_ms: null,
  last: null,
});
const GPU = 'GPU-1';
const series = [
  info('gpu.vram.used', 'VRAM used', 'gpu', 'bytes', GPU),
  info('gpu.busy', 'Busy', 'gpu', 'percent', GPU),
  info('memory.used', 'RAM used', 'machine', 'bytes'),
  info('mount.used', 'Used', 'mount', 'bytes', '/'),
  info('mount.used', 'Used', 'mount', 'bytes', '/home'),
  info('disk.read', 'Read', 'disk', 'bytes', 'nvme0n1', true),
  ...Array.from({ length: 12 }, (_, i) => info('cpu.core.busy', 'Busy', 'core', 'percent', String(i))),
];
const keys = (metric: string) => series.filter((s) => s.key.metric === metric).map((s) => s.key);

describe('lanes', () => {
  it('one metric has one lane, whatever the number of its subjects, up to the colours there are', () => {
    const lanes = lanesOf([...keys('gpu.busy'), ...keys('cpu.core.busy'), ...keys('mount.used')], series);
    expect(lanes.map((l) => [l.title, l.items.length])).toEqual([
      ['GPU busy', 1],
      ['Core busy', PER_LANE],
      ['Core busy', 4],
      ['Mount used', 2],
    ]);
    expect(new Set(lanes.map((l) => l.id)).size).toBe(4);
    expect(lanes[1]?.items.map((i) => i.color)).toEqual(Array.from({ length: 8 }, (_, i) => `--s${i + 1}`));
  });

  it('a chosen series that the history does not know has no lane', () => {
    expect(lanesOf([{ metric: 'gpu.busy', subject: 'GPU-2' }], series)).toEqual([]);
  });

  it('says GPU before a word that any machine has, and not before VRAM', () => {
    expect(titleOf({ label: 'Busy', subject_kind: 'gpu' })).toBe('GPU busy');
    expect(titleOf({ label: 'VRAM used', subject_kind: 'gpu' })).toBe('VRAM used');
    expect(titleOf({ label: 'SM clock', subject_kind: 'gpu' })).toBe('GPU SM clock');
    expect(titleOf({ label: 'RAM used', subject_kind: 'machine' })).toBe('RAM used');
    expect(titleOf({ label: 'CPU', subject_kind: 'process' })).toBe('Process CPU');
  });

  it('says Service where the label alone says nothing, and that a count is a rate', () => {
    const title = (label: string, more: Partial<SeriesInfo> = {}) =>
      titleOf({ label, subject_kind: 'service', ...more });
    expect([title('CPU'), title('Up'), title('Scrape time')]).toEqual([
      'Service CPU',
      'Service up',
      'Service scrape time',
    ]);
    expect([title('KV cache used'), title('Redis clients'), title('Time to first token')]).toEqual([
      'KV cache used',
      'Redis clients',
      'Time to first token',
    ]);
    expect(title('Generated tokens', { kind: 'counter', unit: 'count' })).toBe('Generated tokens per second');
    expect(title('Requests running', { kind: 'gauge', unit: 'count' })).toBe('Requests running');
    expect(titleOf({ label: 'Size', subject_kind: 'model' })).toBe('Model size');
    expect(['KV cache used', 'Redis clients', 'CPU', 'Prompt tokens'].map(lowered)).toEqual([
      'KV cache used',
      'Redis clients',
      'CPU',
      'prompt tokens',
    ]);
  });

  it('a model is named with the service that has it, whatever its own name', () => {
    const name = (subject: string) => subjectOf(info('model.size', 'Size', 'model', 'bytes', subject));
    expect(name('embed/bge-m3')).toBe('bge-m3 on embed');
    expect(name('whisper/Systran/faster-whisper')).toBe('Systran/faster-whisper on whisper');
  });

  it('a counter is shown as its rate', () => {
    expect(unitOf({ kind: 'counter', unit: 'bytes' })).toBe('bytes_per_second');
    expect(unitOf({ kind: 'counter', unit: 'joules' })).toBe('watts');
    expect(unitOf({ kind: 'gauge', unit: 'bytes' })).toBe('bytes');
  });

  it('ends where the thing itself ends', () => {
    const read = (metric: string, subject: string) =>
      ({ 'gpu.vram.total': 24, 'mount.total/': 100, 'mount.total/home': 300 })[
        metric === 'gpu.vram.total' ? metric : metric + subject
      ] ?? null;
    const [vram] = lanesOf(keys('gpu.vram.used'), series);
    const [mounts] = lanesOf(keys('mount.used'), series);
    const [busy] = lanesOf(keys('gpu.busy'), series);
    const [disk] = lanesOf(keys('disk.read'), series);
    expect(vram && endOf(vram, read)).toBe(24);
    expect(mounts && endOf(mounts, read)).toBe(300);
    expect(busy && endOf(busy, read)).toBe(100);
    expect(disk && endOf(disk, read)).toBeNull();
    expect(mounts && endOf(mounts, () => null)).toBeNull();
  });

  it('has a load line only where all its subjects share it', () => {
    const rule: AlertRule = {
      id: 'disk-space',
      sentence: '',
      severity: 'warning',
      enabled: true,
      unit: 'percent',
      metric: 'mount.available',
      threshold: 10,
      below: true,
      active: [],
      lines: [
        { metric: 'mount.used', subject: '/', value: 90, below: false },
        { metric: 'mount.used', subject: '/home', value: 270, below: false },
      ],
    };
    const [both] = lanesOf(keys('mount.used'), series);
    const [one] = lanesOf(keys('mount.used').slice(1), series);
    expect(both && loadOf(both, [rule])).toBeNull();
    expect(one && loadOf(one, [rule])?.value).toBe(270);
  });
});

describe('the list', () => {
  it('what belongs to one service stands together, and what belongs to a mount in one row', () => {
    const rows = [
      info('service.up', 'Up', 'service', 'flag', 'redis'),
      info('service.up', 'Up', 'service', 'flag', 'chat'),
      info('service.tokens.generated', 'Generated tokens', 'service', 'count', 'chat', true),
      info('mount.used', 'Used', 'mount', 'bytes', '/'),
      info('mount.used', 'Used', 'mount', 'bytes', '/home'),
    ];
    const [mounts, services] = sectionsOf(rows, '').map(branchesOf);
    expect(mounts?.map((b) => [b.name, b.rows.length])).toEqual([[null, 2]]);
    expect(services?.map((b) => [b.name, b.rows.map((r) => r.label)])).toEqual([
      ['chat', ['Up', 'Generated tokens']],
      ['redis', ['Up']],
    ]);
    expect(sectionsOf(rows, 'chat tokens')[0]?.rows.map((r) => r.key.metric)).toEqual([
      'service.tokens.generated',
    ]);
  });

  it('finds a row by any of its words', () => {
    const found = (search: string) =>
      sectionsOf(series, search).flatMap((s) => s.rows.map((r) => r.key.metric + r.key.subject));
    expect(found('vram')).toEqual(['gpu.vram.used' + GPU]);
    expect(found('home used')).toEqual(['mount.used/home']);
    expect(found('CPU.CORE')).toHaveLength(12);
    expect(found('nothing like it')).toEqual([]);
    expect(found('gpu-1')).toEqual([]);
  });

  it('is grouped by subject, the GPU first', () => {
    expect(sectionsOf(series, '').map((s) => [s.title, s.rows.length])).toEqual([
      ['GPU', 2],
      ['Machine', 1],
      ['Mounts', 2],
      ['Disks', 1],
      ['Cores', 12],
    ]);
  });
});

it('the list counts: core 2 stands before core 10', () => {
  const cores = [...series].sort((a, b) => (a.key.subject < b.key.subject ? -1 : 1));
  const rows = sectionsOf(cores, 'core')[0]?.rows.map((r) => Number(r.key.subject));
  expect(rows).toEqual(Array.from({ length: 12 }, (_, i) => i));
});

describe('the reason of a gap', () => {
  const gap = { from: 1_000_000, to: 1_240_000 };
  const mark = (at_ms: number, kind: Mark['kind'], title: string): Mark => ({
    id: 1,
    at_ms,
    end_ms: null,
    kind,
    subject: null,
    title,
    detail: '',
    reference: null,
  });

  it('is the mark at its edge', () => {
    const marks = [mark(1_240_000, 'clock', 'The machine slept for 4 min'), mark(1_100_000, 'change', 'x')];
    expect(gapReason(gap, marks, undefined, 9_000_000)).toBe(
      'no data for 4 min: the machine slept for 4 min',
    );
  });

  it('is that Plimsoll did not run, where its start ends the gap', () => {
    const started = mark(1_240_500, 'restart', 'Plimsoll started, version 0.1.0');
    expect(gapReason(gap, [started], undefined, 9e9)).toBe('no data for 4 min: Plimsoll did not run');
  });

  it('is the silent source, for a gap that goes on', () => {
    const lost = {
      name: 'gpu',
      state: 'lost' as const,
      reason: 'The GPU fell off the bus',
      since_ms: 0,
      last_ms: 0,
    };
    expect(gapReason(gap, [], lost, gap.to)).toBe('no data for 4 min: The GPU fell off the bus');
    expect(gapReason(gap, [], lost, gap.to + 3_600_000)).toBe('no data for 4 min');
  });

  it('is the alert that told of the silence, in its first words', () => {
    const lost = {
      ...mark(1_030_000, 'alert', 'The GPU does not answer: NVML says that the GPU is lost.'),
      reference: 'alert:gpu-lost:GPU-1',
    };
    expect(gapReason(gap, [lost], undefined, 9e9)).toBe('no data for 4 min: the GPU does not answer');
    const full = { ...lost, reference: 'alert:vram-free:GPU-1' };
    expect(gapReason(gap, [full], undefined, 9e9)).toBe('no data for 4 min');
  });

  it('is found at an edge that is only as exact as a point is long', () => {
    const started = mark(1_280_000, 'restart', 'Plimsoll started');
    expect(gapReason(gap, [started], undefined, 9e9)).toBe('no data for 4 min');
    expect(gapReason(gap, [started], undefined, 9e9, 30_000)).toBe('no data for 4 min: Plimsoll did not run');
  });

  it('is not what somebody else did in the middle of it', () => {
    const batch = mark(1_120_000, 'restart', 'label_images.py started, batch of 32');
    expect(gapReason(gap, [batch], undefined, 9e9)).toBe('no data for 4 min');
  });

  it('is not a mark far away', () => {
    expect(gapReason(gap, [mark(400_000, 'restart', 'Plimsoll started')], undefined, 9e9)).toBe(
      'no data for 4 min',
    );
  });
});
