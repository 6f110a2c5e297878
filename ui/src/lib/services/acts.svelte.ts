// What a person does to services: one thing at a time for each of them, what went wrong beside
// it, and how to take it back. Outlives the page, so that a model goes on loading behind another one.

import { SvelteMap, SvelteSet } from 'svelte/reactivity';

import type { Fault, IgnoredService, JobProgress, Service } from '../bindings';
import { asker, call, toFault } from '../host';
import { live } from '../state/live.svelte';
import { services as store } from '../state/services.svelte';
import { toasts } from '../state/toasts.svelte';
import { found } from './found.svelte';

type Named = Pick<Service, 'id' | 'name'>;

/** A model on its way into memory or out of it. */
export interface Move {
  job: number;
  to: 'load' | 'unload';
  /** 0 to 1; `null` where the end is not known. */
  share: number | null;
  /** What is being done, or why it was not. */
  message: string;
  failed: boolean;
}

/** A service that is being stopped or started anew. What it works on ends first. */
export interface Ending {
  job: number;
  to: 'stop' | 'restart';
  /** What is waited for or done, or why it was not. */
  message: string;
  failed: boolean;
}

const UNDO_SECONDS = 10;
const MOST_NEWS = 32;
/** A toast is no paragraph: its one sentence needs no full stop. */
const bare = (text: string) => text.replace(/\.$/, '');
const keyOf = (id: string, model: string) => `${id}\n${model}`;

class Acts {
  #busy = new SvelteSet<string>();
  #faults = new SvelteMap<string, Fault>();
  #moves = new SvelteMap<string, Move>();
  #ends = new SvelteMap<string, Ending>();
  /** What is done when such a job has done it, by its number. */
  #ended = new Map<number, (message: string) => void>();
  /** News of jobs may come before the answer that says their number. */
  #news = new Map<number, JobProgress>();
  #off: (() => void) | undefined;

  /** Something is being done to it, and the answer is not there yet. */
  busy(id: string): boolean {
    return this.#busy.has(id);
  }

  fault(id: string): Fault | undefined {
    return this.#faults.get(id);
  }

  dismiss(id: string): void {
    this.#faults.delete(id);
  }

  move(id: string, model: string): Move | undefined {
    return this.#moves.get(keyOf(id, model));
  }

  /** It is being stopped or started anew, or was not. */
  ending(id: string): Ending | undefined {
    return this.#ends.get(id);
  }

  /** A model of it moves: another one waits. */
  moving(id: string): boolean {
    return [...this.#moves].some(([key, move]) => !move.failed && key.startsWith(`${id}\n`));
  }

  async #do<T>(id: string, work: () => Promise<T>): Promise<T | null> {
    if (this.#busy.has(id)) return null;
    this.#busy.add(id);
    this.#faults.delete(id);
    try {
      return await work();
    } catch (thrown) {
      this.#faults.set(id, toFault(thrown));
      return null;
    } finally {
      this.#busy.delete(id);
      void store.refresh();
      void found.refresh();
    }
  }

  /** Says what was done, with the way back for ten seconds. */
  #said(text: string, label: string, back: () => Promise<unknown>): void {
    const drop = toasts.show(bare(text), {
      seconds: UNDO_SECONDS,
      action: { label, run: () => void (drop(), back()) },
    });
  }

  async accept(service: Named): Promise<boolean> {
    const done = await this.#do(service.id, () => call('services.accept', { id: service.id }));
    if (done) toasts.show(bare(done.message));
    return done !== null;
  }

  async ignore(service: Named): Promise<void> {
    const done = await this.#do(service.id, () => call('services.ignore', { id: service.id }));
    if (done) this.#said(done.message, 'Undo', () => this.restore(service));
  }

  async restore(service: Named | IgnoredService): Promise<void> {
    await this.#do(service.id, () => call('services.restore', { id: service.id }));
  }

  /** True where it is gone. */
  async remove(service: Named): Promise<boolean> {
    const ask = { id: service.id, by: asker() };
    const done = await this.#do(service.id, () => call('services.remove', ask));
    if (!done) return false;
    const { revision } = done;
    this.#said(done.message, 'Undo', () =>
      revision === null ? this.accept(service) : this.undo(service.id, revision),
    );
    return true;
  }

  /** Takes back the revision in which a service came or went. */
  async undo(id: string, revision: number): Promise<void> {
    const made = await this.#do(id, () => call('config.undo', { revision, by: asker() }));
    if (made) toasts.show(`Undone, as revision ${made.number}`);
    else if (this.fault(id)) toasts.show(`Not undone: ${this.fault(id)?.message}`);
  }

  added(service: Named, revision: number): void {
    void store.refresh();
    void found.refresh();
    this.#said(`${service.name} is watched, revision ${revision}`, 'Undo', () =>
      this.undo(service.id, revision),
    );
  }

  async start(service: Named): Promise<void> {
    const done = await this.#do(service.id, () => call('services.start', { id: service.id }));
    if (done) toasts.show(bare(done.message));
  }

  /** `then` is done once it is stopped; else it is said, with the way back. */
  stop(service: Named, then?: () => void): Promise<void> {
    return this.#end(service, 'stop', then);
  }

  restart(service: Named): Promise<void> {
    return this.#end(service, 'restart');
  }

  async #end(service: Named, to: Ending['to'], then?: () => void): Promise<void> {
    const { id } = service;
    this.#ends.delete(id);
    this.#listen();
    const began = await this.#do(id, () => call(`services.${to}`, { id }));
    if (began) {
      this.#ends.set(id, { job: began.job, to, message: '', failed: false });
      this.#ended.set(began.job, (message) => {
        if (to === 'restart') toasts.show(bare(message));
        else if (then) then();
        else this.#said(message, 'Start again', () => this.start(service));
      });
      const news = this.#news.get(began.job);
      if (news) this.#hear(news);
    }
    this.#rest();
  }

  /** As long as it waits for what runs there, it goes on as if nothing had been. */
  async leave(id: string): Promise<void> {
    const ending = this.ending(id);
    if (ending) await this.#do(id, () => call('jobs.cancel', { job: ending.job }));
  }

  /** Why it was not done was read. */
  forgetEnding(id: string): void {
    this.#ends.delete(id);
  }

  load(service: Named, model: string): Promise<void> {
    return this.#move(service.id, model, 'load');
  }

  unload(service: Named, model: string): Promise<void> {
    return this.#move(service.id, model, 'unload');
  }

  async #move(id: string, model: string, to: Move['to']): Promise<void> {
    const key = keyOf(id, model);
    this.#moves.delete(key);
    this.#listen();
    const began = await this.#do(id, () => call(`services.${to}`, { id, model }));
    if (began) {
      this.#moves.set(key, { job: began.job, to, share: null, message: '', failed: false });
      const news = this.#news.get(began.job);
      if (news) this.#hear(news);
    }
    this.#rest();
  }

  async cancel(id: string, model: string): Promise<void> {
    const move = this.move(id, model);
    if (move) await this.#do(id, () => call('jobs.cancel', { job: move.job }));
  }

  /** What failed was read. */
  forget(id: string, model: string): void {
    this.#moves.delete(keyOf(id, model));
  }

  #listen(): void {
    this.#off ??= live.on((event) => {
      if (event.event === 'job') this.#hear(event.job);
      else if (event.event === 'missed') void this.#ask();
    });
  }

  #hear(job: JobProgress): void {
    this.#news.delete(job.job);
    this.#news.set(job.job, job);
    for (const old of [...this.#news.keys()].slice(0, -MOST_NEWS)) this.#news.delete(old);
    this.#hearEnding(job);
    const entry = [...this.#moves].find(([, move]) => move.job === job.job);
    if (!entry) return;
    const [key, move] = entry;
    if (job.state === 'running') {
      this.#moves.set(key, { ...move, share: job.share, message: job.message });
      return;
    }
    if (job.state === 'failed') this.#moves.set(key, { ...move, message: job.message, failed: true });
    else {
      this.#moves.delete(key);
      toasts.show(job.state === 'done' ? bare(job.message) || job.title : `${job.title}: cancelled`);
    }
    void store.refresh();
    this.#rest();
  }

  #hearEnding(job: JobProgress): void {
    const entry = [...this.#ends].find(([, ending]) => ending.job === job.job);
    if (!entry || entry[1].failed) return;
    const [id, ending] = entry;
    const { message } = job;
    if (job.state === 'running') {
      this.#ends.set(id, { ...ending, message });
      return;
    }
    if (job.state === 'failed') this.#ends.set(id, { ...ending, message, failed: true });
    else this.#ends.delete(id);
    if (job.state === 'cancelled') {
      toasts.show(message === 'Cancelled.' ? `${job.title}: cancelled` : bare(message) || job.title);
    }
    const ended = this.#ended.get(job.job);
    this.#ended.delete(job.job);
    if (job.state === 'done') ended?.(message || job.title);
    void store.refresh();
    this.#rest();
  }

  /** News were lost: what does not run any more has ended, one way or the other. */
  async #ask(): Promise<void> {
    const list = await call('jobs', {}).catch(() => null);
    if (!list) return;
    for (const [key, move] of [...this.#moves]) {
      const job = list.find((j) => j.job === move.job);
      if (job) this.#hear(job);
      else if (!move.failed) this.#moves.delete(key);
    }
    for (const [id, ending] of [...this.#ends]) {
      const job = list.find((j) => j.job === ending.job);
      if (job) this.#hear(job);
      else if (!ending.failed) this.#ends.delete(id);
    }
    this.#rest();
  }

  /** Nothing moves: nothing is listened to. */
  #rest(): void {
    if ([...this.#moves.values(), ...this.#ends.values()].some((one) => !one.failed)) return;
    this.#off?.();
    this.#off = undefined;
    this.#news.clear();
  }
}

export const acts = new Acts();
