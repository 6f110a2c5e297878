import { expect, it } from 'vitest';

import { Trace } from '../../lib/chart/columns';
import { fileName, toCsv } from './export';

const trace = new Trace(
  { at: [0, 1000, 2000], min: [1, null, 3], mean: [1.5, null, 3], max: [2, null, 3] },
  1000,
  1000,
);

it('is a table of what is shown, with empty cells for gaps', () => {
  const csv = toCsv([{ key: { metric: 'cpu.busy', subject: '' }, unit: 'percent', trace }], {
    from: 0,
    to: 2000,
  });
  expect(csv.split('\r\n')).toEqual([
    'time,metric,subject,unit,min,mean,max',
    '1970-01-01T00:00:00.000Z,cpu.busy,,percent,1,1.5,2',
    '1970-01-01T00:00:01.000Z,cpu.busy,,percent,,,',
    '',
  ]);
});

it('quotes what would break the table', () => {
  const csv = toCsv([{ key: { metric: 'mount.used', subject: '/mnt/a,"b"' }, unit: 'bytes', trace }], {
    from: 0,
    to: 1000,
  });
  expect(csv).toContain('mount.used,"/mnt/a,""b""",bytes,1,1.5,2');
});

it('keeps every digit', () => {
  const exact = new Trace({ at: [0], min: [0.1], mean: [22_119_710_720.25], max: [1e12] }, 1000, 1000);
  const csv = toCsv([{ key: { metric: 'x', subject: '' }, unit: 'bytes', trace: exact }], { from: 0, to: 1 });
  expect(csv).toContain('0.1,22119710720.25,1000000000000');
});

it('a file is named by what is in it', () => {
  const view = { from: 0, to: new Date(2026, 10, 21, 12, 50).getTime() };
  expect(fileName([{ metric: 'cpu.busy', subject: '' }], view, 'csv')).toBe(
    'plimsoll-cpu.busy-20261121-1250.csv',
  );
  const two = [
    { metric: 'cpu.busy', subject: '' },
    { metric: 'load.1m', subject: '' },
  ];
  expect(fileName(two, view, 'png')).toBe('plimsoll-2-metrics-20261121-1250.png');
});
