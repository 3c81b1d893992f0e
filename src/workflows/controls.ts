import { defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import { MAX_PARALLEL } from '../contract/job.ts';

export interface CarriedControls {
  isPaused: boolean;
  maxParallel?: number;
  skipped: string[];
}

/** What people can change about a running job in Temporal: by its CLI, or with the buttons of its UI. */
export class Controls {
  isPaused: boolean;
  /** Instead of the connector's. */
  maxParallel?: number;
  /** Tables that are not to be ingested, or not any further, by their upstream names as the job shows them. */
  readonly skipped: Set<string>;
  /** Called after each change. */
  onChange: () => void = () => {};

  constructor(carried: CarriedControls = { isPaused: false, skipped: [] }) {
    this.isPaused = carried.isPaused;
    this.maxParallel = carried.maxParallel;
    this.skipped = new Set(carried.skipped);
    this.#listen();
  }

  carry(): CarriedControls {
    return { isPaused: this.isPaused, maxParallel: this.maxParallel, skipped: [...this.skipped] };
  }

  #listen(): void {
    const setPaused = (isPaused: boolean) => () => {
      this.isPaused = isPaused;
      this.onChange();
    };
    setHandler(defineSignal('pause'), setPaused(true), {
      description:
        'Pauses this job: what is in flight ends within a minute or so, and nothing else begins until the signal resume. The connector itself is paused with reconciler connector pause.',
    });
    setHandler(defineSignal('resume'), setPaused(false), { description: 'Resumes this job after the signal pause.' });
    setHandler(
      defineUpdate<string, [number]>('setMaxParallel'),
      (tables) => {
        this.maxParallel = tables;
        this.onChange();
        return `At most ${tables} at once, in this job`;
      },
      {
        validator: requireParallel,
        description: `Tables ingested at once in this job, from 1 to ${MAX_PARALLEL}: for example 4. The connector keeps its own number.`,
      },
    );
    setHandler(
      defineUpdate<string, [string]>('skipTable'),
      (table) => {
        this.skipped.add(table);
        this.onChange();
        return `${table} is skipped in this job: it counts as failed, and the next job tries it again. In a pack that runs, it may still be ingested.`;
      },
      {
        validator: requireTable,
        description:
          'Stops ingesting a table in this job, or does not begin it. The table is named as in the progress, for example "sales.orders".',
      },
    );
  }
}

function requireParallel(tables: unknown): void {
  if (Number.isInteger(tables) && (tables as number) >= 1 && (tables as number) <= MAX_PARALLEL) return;
  throw new Error(`setMaxParallel takes a whole number from 1 to ${MAX_PARALLEL}, not ${JSON.stringify(tables)}.`);
}

function requireTable(table: unknown): void {
  if (typeof table === 'string' && table !== '' && table.length <= 1_000) return;
  throw new Error('skipTable takes the name of a table as the progress shows it, for example "sales.orders".');
}
