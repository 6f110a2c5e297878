import { describe, expect, it } from 'vitest';

import type { AlertRule, SeriesInfo, SourceStatus } from '../../lib/bindings';
import {
  activityKeys,
  cpuFace,
  diskFace,
  fullestMount,
  gpuFace,
  netFace,
  ramFace,
  silence,
  vramFace,
  withoutGpu,
  type Facts,
} from './instruments';

const GIB = 2 ** 30;
const info = (metric: string, subject: string): SeriesInfo => ({
  key: { metric, subject },
  label: metric,
  subject_kind: 'mount',
  kind: 'gauge',
  unit: 'bytes',
  cadence_ms: 1000,
  last_ms: null,
  last: null,
});
const line = (metric: string, subject: string, value: number): AlertRule => ({
  id: 'r',
  sentence: '',
  severity: 'warning',
  enabled: true,
  unit: null,
  metric,
  threshold: 0,
  below: false,
  active: [],
  lines: [{ metric, subject, value, below: false }],
});
const facts = (values: Record<string, number>, more: Partial<Facts> = {}): Facts => ({
  read: (metric, subject = '') => values[subject ? `${metric} ${subject}` : metric] ?? null,
  rules: [],
  series: [],
  gpu: 'G',
  vramTotal: 24 * GIB,
  memoryTotal: 64 * GIB,
  slowdown: 83,
  cores: 16,
  ...more,
});

describe('VRAM', () => {
  it('is measured against its line, and says how far it is', () => {
    const face = vramFace(
      facts({ 'gpu.vram.used G': 20.6 * GIB }, { rules: [line('gpu.vram.used', 'G', 22.5 * GIB)] }),
    );
    expect(face).toMatchObject({
      value: '20.6',
      unit: 'of 22.5 GiB',
      side: '92 %',
      state: 'near',
      left: '1.90 GiB to the line',
      end: 24 * GIB,
    });
    expect(face.load).toMatchObject({ value: 22.5 * GIB, label: '22.5', state: 'near', reserve: true });
  });

  it('above the line says by how much', () => {
    const face = vramFace(
      facts({ 'gpu.vram.used G': 23.1 * GIB }, { rules: [line('gpu.vram.used', 'G', 22.5 * GIB)] }),
    );
    expect(face).toMatchObject({ state: 'over', side: '103 %', left: '614 MiB above the line' });
  });

  it('without a rule is measured against the card', () => {
    expect(vramFace(facts({ 'gpu.vram.used G': 6 * GIB }))).toMatchObject({
      unit: 'of 24.0 GiB',
      side: '25 %',
      state: 'ok',
      left: '18.0 GiB free',
      load: null,
    });
  });

  it('that is not known is not zero', () => {
    expect(vramFace(facts({}))).toMatchObject({ value: null, side: null, left: '', state: 'ok' });
  });
});

it('the GPU says its heat against its own slowdown point, and what holds it back', () => {
  const values = { 'gpu.busy G': 71, 'gpu.temperature G': 68, 'gpu.power G': 287, 'gpu.power.limit G': 360 };
  expect(gpuFace(facts(values))).toMatchObject({
    value: '71',
    side: '287 W',
    left: '68 °C of 83 °C',
    right: 'cap 360 W',
  });
  expect(gpuFace(facts({ ...values, 'gpu.throttle.power G': 1 })).right).toBe('at its power cap');
  expect(gpuFace(facts({ ...values, 'gpu.throttle.power G': 1, 'gpu.throttle.thermal G': 1 })).right).toBe(
    'slowed by heat',
  );
  expect(gpuFace(facts(values, { slowdown: null })).left).toBe('68 °C');
});

it('RAM names swap only where some is used', () => {
  expect(ramFace(facts({ 'memory.used': 38 * GIB, 'swap.used': 0 })).right).toBe('64.0 GiB in all');
  expect(ramFace(facts({ 'memory.used': 38 * GIB, 'swap.used': GIB })).right).toBe('1.00 GiB in swap');
});

it('the CPU has no line of its own, but one that a person made', () => {
  expect(cpuFace(facts({ 'cpu.busy': 14.2, 'load.1m': 2.2 }))).toMatchObject({
    value: '14',
    left: 'load 2.20',
    right: '16 cores',
    load: null,
  });
  expect(cpuFace(facts({ 'cpu.busy': 96 }, { rules: [line('cpu.busy', '', 95)] }))).toMatchObject({
    state: 'over',
  });
});

it('the disk is the mount that is nearest to its end', () => {
  const values = {
    'mount.used /': 100,
    'mount.total /': 1000,
    'mount.used /srv': 800,
    'mount.total /srv': 1000,
    'mount.used /tmp': 5,
  };
  const series = ['/', '/srv', '/tmp'].map((m) => info('mount.used', m));
  expect(fullestMount(['/', '/srv', '/tmp'], facts(values).read)).toBe('/srv');
  expect(diskFace(facts(values, { series }))).toMatchObject({ about: '/srv', right: 'fullest of 3' });
  expect(diskFace(facts({}, { series: [] }))).toMatchObject({ value: null, about: '' });
});

it('the network is the busiest card, and never the loop', () => {
  const series = ['lo', 'eth0', 'wlan0'].map((m) => info('net.received', m));
  const values = { 'net.received lo': 9e9, 'net.received eth0': 10, 'net.received wlan0': 2048 };
  expect(netFace(facts(values, { series }))).toMatchObject({
    about: 'wlan0',
    value: '2.00',
    unit: 'KiB/s in',
  });
  expect(netFace(facts({}, { series: [info('net.received', 'lo')] }))).toBeNull();
  expect(activityKeys([info('net.sent', 'lo'), info('net.sent', 'eth0')]).map((s) => s.key.subject)).toEqual([
    'eth0',
  ]);
});

describe('a silent source', () => {
  const source = (state: SourceStatus['state'], reason = ''): SourceStatus => ({
    name: 'gpu',
    state,
    reason,
    since_ms: 0,
    last_ms: 1000,
  });

  it('says why in words', () => {
    expect(silence(source('healthy'), 5000)).toBeNull();
    expect(silence(source('lost', 'GPU is lost'), 5000)).toBe('GPU is lost');
    expect(silence(source('late'), 43_000)).toBe('No answer for 42 s');
    expect(silence(source('absent'), 0)).toBe('Not on this machine');
    expect(silence(undefined, 0)).toBeNull();
  });

  it('is no missing card while it has not been asked yet', () => {
    const status = {} as never;
    expect(withoutGpu([source('starting')], null, status)).toBe(false);
    expect(withoutGpu([source('absent')], null, status)).toBe(true);
    expect(withoutGpu([source('lost')], 'GPU-1', status)).toBe(false);
    expect(withoutGpu([], null, null)).toBe(false);
  });
});
