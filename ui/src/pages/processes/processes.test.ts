import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { About, Process, ProcessTable } from '../../lib/bindings';
import { CallError, useHost } from '../../lib/host';
import { fakeHost, type FakeHost } from '../../lib/host/fake';
import { router } from '../../lib/router.svelte';
import { live } from '../../lib/state/live.svelte';
import { processes as store } from '../../lib/state/processes.svelte';
import { range } from '../../lib/state/range.svelte';
import { session } from '../../lib/state/session.svelte';
import { toasts } from '../../lib/state/toasts.svelte';
import Processes from './Processes.svelte';

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
    cpu_percent: 5,
    rss_bytes: GIB,
    vram_bytes: null,
    threads: 2,
    ports: [],
    started_ms: 1000,
    cpu_trace: [1, 2],
    own: false,
    ...more,
  };
}

let fake: FakeHost;
let table: ProcessTable;
let stops: (() => void)[];

beforeEach(() => {
  table = {
    at_ms: 1_800_000_000_000,
    interval_ms: 5000,
    vram_unknown: null,
    processes: [
      one(10, 'llama-server', { unit: 'chat.service', vram_bytes: 15 * GIB, cpu_percent: 90 }),
      one(11, 'firefox', { cpu_percent: 4 }),
      one(12, 'plimsoll', { own: true, cpu_percent: 1 }),
    ],
  };
  fake = fakeHost({
    processes: () => table,
    'processes.detail': ({ pid }) => {
      const process = table.processes.find((p) => p.pid === pid);
      if (!process) throw new CallError({ code: 'not_found', message: 'It has ended.', hint: null });
      return {
        process,
        nice: 0,
        executable: null,
        parent_name: null,
        open_files: null,
        open_files_limit: null,
        memory_limit_bytes: null,
        listens: ['127.0.0.1:8080'],
        rss_trace: [],
        vram_trace: [],
      };
    },
    'processes.end': () => ({ message: '' }),
    recall: () => null,
    remember: () => ({ message: '' }),
  });
  useHost(fake);
  store.view = null;
  location.hash = '#/processes';
  stops = [router.start(), live.start()];
});
afterEach(() => {
  range.goLive();
  toasts.list = [];
  session.about = null;
  cleanup();
  stops.forEach((stop) => stop());
});

async function open() {
  render(Processes);
  return screen.findByRole('treegrid');
}
const chosen = () => screen.getAllByRole('row').find((r) => r.getAttribute('aria-selected') === 'true')?.id;
const ends = () => fake.calls.filter((c) => c.command === 'processes.end').map((c) => c.args);

describe('the tree', () => {
  it('is walked with the arrows: groups open, close, and lead to their first process', async () => {
    const grid = await open();
    await waitFor(() => expect(chosen()).toBe('row-p:10'));
    await fireEvent.keyDown(grid, { key: 'ArrowLeft' });
    expect(chosen()).toBe('row-g:service:chat.service');
    await fireEvent.keyDown(grid, { key: 'ArrowLeft' });
    expect(document.getElementById('row-p:10')).toBeNull();
    await fireEvent.keyDown(grid, { key: 'ArrowRight' });
    await fireEvent.keyDown(grid, { key: 'ArrowRight' });
    expect(chosen()).toBe('row-p:10');
    await fireEvent.keyDown(grid, { key: 'End' });
    expect(grid.getAttribute('aria-activedescendant')).toBe(chosen());
  });

  it('says in words that VRAM is not known, and never 0', async () => {
    session.about = { gpu: { name: 'NVIDIA GeForce RTX 4090' }, machine: { cores: 8 } } as About;
    table = {
      ...table,
      vram_unknown: 'The driver gives no list',
      processes: table.processes.map((p) => ({ ...p, vram_bytes: null })),
    };
    const grid = await open();
    await waitFor(() => expect(within(grid).getAllByText('unknown').length).toBeGreaterThan(0));
    expect(screen.getByText(/VRAM of each process is not known: The driver gives no list/)).toBeTruthy();
  });

  it('without a card shows a dash in each row, and the reason once', async () => {
    session.about = { gpu: null, machine: { cores: 8 } } as About;
    table = {
      ...table,
      vram_unknown: 'No NVIDIA driver on this machine',
      processes: table.processes.map((p) => ({ ...p, vram_bytes: null })),
    };
    const grid = await open();
    await waitFor(() => expect(within(grid).getAllByText('–').length).toBeGreaterThan(0));
    expect(within(grid).queryByText('unknown')).toBeNull();
    expect(screen.getByText(/VRAM of each process is not known: No NVIDIA driver/)).toBeTruthy();
  });

  it('of 2000 processes holds only the rows that are seen', async () => {
    table = {
      ...table,
      processes: Array.from({ length: 2000 }, (_, i) => one(i + 2, `p${i}`, { rss_bytes: GIB })),
    };
    const grid = await open();
    await waitFor(() => expect(grid.getAttribute('aria-rowcount')).toBe('2001'));
    expect(within(grid).getAllByRole('row').length).toBeLessThan(60);
  });

  it('stands still while the picture is paused', async () => {
    await open();
    range.pause();
    table = { ...table, processes: [] };
    fake.emit({ event: 'processes', at_ms: 1 });
    await new Promise((done) => setTimeout(done, 20));
    expect(screen.getByText('3 processes')).toBeTruthy();
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'End' }).disabled).toBe(true);
  });
});

describe('ending a process', () => {
  it('takes two clicks at two places, asks first, and names what it is', async () => {
    await open();
    await waitFor(() => expect(chosen()).toBe('row-p:10'));
    await fireEvent.keyDown(window, { key: 'Delete' });
    const strip = screen.getByRole('alertdialog', { name: 'End llama-server, 10?' });
    expect(strip.textContent).toContain('15.0 GiB of VRAM');
    expect(strip.textContent).toContain('systemd may start chat.service again');
    expect(ends()).toEqual([]);
    await fireEvent.click(within(strip).getByRole('button', { name: 'Ask it to end' }));
    expect(ends()).toEqual([{ pid: 10, started_ms: 1000, kill: false }]);
    await fireEvent.click(await screen.findByRole('button', { name: /SIGKILL/ }));
    expect(ends().at(-1)).toEqual({ pid: 10, started_ms: 1000, kill: true });
  });

  it('is told when it is done, and the choice moves on', async () => {
    await open();
    await waitFor(() => expect(chosen()).toBe('row-p:10'));
    await fireEvent.click(screen.getByRole('button', { name: 'End' }));
    await fireEvent.click(screen.getByRole('button', { name: 'Ask it to end' }));
    await screen.findByRole('button', { name: /SIGKILL/ });
    table = { ...table, at_ms: table.at_ms + 5000, processes: table.processes.slice(1) };
    fake.emit({ event: 'processes', at_ms: table.at_ms });
    await waitFor(() => expect(toasts.list[0]?.text).toBe('llama-server, 10 has ended'));
    await waitFor(() => expect(chosen()).toBeTruthy());
    expect(screen.queryByRole('alertdialog')).toBeNull();
  });

  it('that is refused says why and changes nothing', async () => {
    fake.handlers['processes.end'] = () => {
      throw new CallError({ code: 'denied', message: 'It belongs to root.', hint: 'Use sudo kill 10.' });
    };
    await open();
    await fireEvent.click(await screen.findByRole('button', { name: 'End' }));
    await fireEvent.click(screen.getByRole('button', { name: 'Ask it to end' }));
    expect(await screen.findByText(/It belongs to root. Use sudo kill 10./)).toBeTruthy();
  });

  it('is left with Escape', async () => {
    await open();
    await fireEvent.click(await screen.findByRole('button', { name: 'End' }));
    await fireEvent.keyDown(screen.getByRole('alertdialog'), { key: 'Escape' });
    expect(screen.queryByRole('alertdialog')).toBeNull();
  });
});

it('the detail is asked for once a reading, not over and over', async () => {
  await open();
  const asked = () => fake.calls.filter((c) => c.command === 'processes.detail').length;
  await waitFor(() => expect(asked()).toBe(1));
  await new Promise((done) => setTimeout(done, 60));
  expect(asked()).toBe(1);
  table = { ...table, at_ms: table.at_ms + 5000 };
  fake.emit({ event: 'processes', at_ms: table.at_ms });
  await waitFor(() => expect(asked()).toBe(2));
  await new Promise((done) => setTimeout(done, 60));
  expect(asked()).toBe(2);
});

it('a pid in the address is shown, whatever was filtered', async () => {
  location.hash = '#/processes?pid=11';
  router.route = { page: 'processes', rest: [], query: new URLSearchParams('pid=11') };
  await open();
  await waitFor(() => expect(chosen()).toBe('row-p:11'));
});
