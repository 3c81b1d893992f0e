import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { formatName } from '../../src/names.ts';
import { runCommand } from '../../src/stack/run-command.ts';
import { ROOT, RunningStack } from '../integration/stack/running-stack.ts';
import { waitFor } from '../jest/wait-for.ts';
import { CleanUp } from './clean-up.ts';
import { fixtureTables, publishFixtures } from './publish-fixtures.ts';
import { startIcebergRest } from './servers/iceberg-rest.ts';
import { prometheusPrograms, startPrometheus } from './servers/prometheus.ts';
import type { Server } from './servers/server.ts';

const RULES = join(ROOT, 'docs/operations/alerts.yml');
const MANUAL = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { refId: string; expr: string; datasource: { uid: string } }[];
}
const dashboard = JSON.parse(readFileSync(join(ROOT, 'docs/operations/dashboard.json'), 'utf8')) as {
  uid: string;
  schemaVersion: number;
  panels: Panel[];
  templating: { list: { name: string; type: string; query: unknown; definition?: string }[] };
};
const expressions = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, expr] as const),
);

/** Enough for a busy machine. */
const EVENTUALLY = { timeout: 110_000, interval: 500 };

describe('the dashboard', () => {
  it('is valid for Grafana', () => {
    // This is the schema version of Grafana 11. Newer versions of Grafana migrate the dashboard when they load it.
    expect(dashboard.schemaVersion).toBe(39);
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const [source, connector] = dashboard.templating.list;
    expect(source).toMatchObject({ name: 'datasource', type: 'datasource', query: 'prometheus' });
    expect(connector).toMatchObject({ name: 'connector', type: 'query' });
    for (const { targets = [], type, title } of dashboard.panels) {
      expect({ title, hasTargets: targets.length > 0 }).toEqual({ title, hasTargets: type !== 'row' });
      for (const { datasource } of targets) expect(datasource.uid).toBe('${' + 'datasource}');
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    }
  });

  it('has no overlapping panels', () => {
    const covered = new Set<string>();
    for (const { title, gridPos } of dashboard.panels) {
      expect({ title, fits: gridPos.x + gridPos.w <= 24 }).toEqual({ title, fits: true });
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect({ title, x, y, covered: covered.has(`${x} ${y}`) }).toEqual({ title, x, y, covered: false });
          covered.add(`${x} ${y}`);
        }
      }
    }
  });
});

describe('the alert rules', () => {
  const promtool = async (...args: string[]) =>
    runCommand(join(await prometheusPrograms(), 'promtool'), args, { timeoutMs: 60_000 });

  it('are valid, and fire exactly when they should', async () => {
    expect(await promtool('check', 'rules', RULES)).toMatchObject({ code: 0 });
    const folder = mkdtempSync(join(tmpdir(), 'alerts-'));
    try {
      cpSync(RULES, join(folder, 'alerts.yml'));
      cpSync(join(import.meta.dirname, 'alerts/rules.yml'), join(folder, 'rules.yml'));
      expect(await promtool('test', 'rules', join(folder, 'rules.yml'))).toMatchObject({ code: 0 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('point to sections of the manual', () => {
    const runbooks = [...readFileSync(RULES, 'utf8').matchAll(/runbook: >-\n((?: {12}.*\n)+)/g)].map(
      ([, text]) => text,
    );
    expect(runbooks).toHaveLength(7);
    expect(MANUAL).toContain('## What a failure means');
    for (const text of runbooks) {
      expect(text).toMatch(/docs\/operations\.md,\s+'What\s+a\s+failure\s+means'/);
      for (const [code] of text?.matchAll(/\b(UNAVAILABLE|INTERNAL)\b/g) ?? []) {
        expect(MANUAL).toMatch(new RegExp(`^\\| [A-Z_, ]*${code}`, 'm'));
      }
    }
  });
});

describe('a Prometheus beside a stack', () => {
  const cleanUp = new CleanUp();
  let prometheus: Server;
  const running = new AbortController();

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reconciler-operations-'));
    cleanUp.defer(() => rmSync(folder, { recursive: true }));
    const rest = cleanUp.use(await startIcebergRest({ warehouse: `file://${folder}` }));
    const tables = fixtureTables().filter(({ path }) =>
      /^(fx\.(orders|refs)|bad\.missing_manifest)$/.test(formatName(path)),
    );
    await publishFixtures(rest.url, { folder }, tables);
    const stack = cleanUp.use(await RunningStack.start());
    const { catalog, worker } = stack.observed();
    const targets = { 'reconciler-catalog': catalog.metrics, 'reconciler-worker': worker.metrics };
    prometheus = cleanUp.use(await startPrometheus(targets, RULES));
    const spec = (namespacePath: string[]) => ({
      uri: rest.url,
      source: { namespacePath },
      policy: { enabled: true, interval: { seconds: 3600n } },
    });
    const good = await stack.connect('good', '', spec(['fx']));
    const broken = await stack.connect('broken', '', {
      ...spec(['bad']),
      alerts: { webhookUrl: 'env:NO_SUCH_HOOK' },
    });
    expect(await stack.trigger(good)).toMatchObject({ state: JobState.JS_SUCCEEDED });
    expect(await stack.trigger(broken)).toMatchObject({ state: JobState.JS_FAILED });
    // Keeps jobs running, so that rates are not zero while they are queried.
    const again = (async () => {
      while (!running.signal.aborted) {
        await stack.trigger(good, { full: true });
        await stack.trigger(broken);
      }
    })();
    cleanUp.defer(async () => {
      running.abort();
      await again;
    });
  });
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  async function ask(path: string, parameters: Record<string, string> = {}) {
    const response = await fetch(`${prometheus.url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const answer = (await response.json()) as { status: string; error?: string; data: unknown };
    expect({ parameters, ...answer }).toMatchObject({ parameters, status: 'success' });
    return answer.data;
  }

  type Result = { metric: Record<string, string>; value: [number, string] }[];
  /** Queries as Grafana does, with its variables replaced. */
  async function query(expression: string): Promise<Result> {
    const query = expression.replaceAll('$connector', '.*').replaceAll('$__rate_interval', '20s');
    return ((await ask('query', { query })) as { result: Result }).result;
  }

  it.each(expressions)('has data for %s: %s', async (_, expression) => {
    await waitFor(async () => {
      const result = await query(expression);
      expect(result.map(({ value }) => Number(value[1])).filter(Number.isFinite)).not.toEqual([]);
    }, EVENTUALLY);
  });

  it('has the connectors for the selection in the dashboard', async () => {
    const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(
      dashboard.templating.list[1]?.definition ?? '',
    ) as RegExpExecArray;
    const values = await ask(`label/${label}/values`, { 'match[]': metric as string });
    expect(values).toEqual(['broken', 'good']);
  });

  it('evaluates the rules, and only those of the failing connector and its webhook are pending', async () => {
    interface Rule {
      name: string;
      health: string;
      lastError?: string;
      alerts: { state: string; labels: Record<string, string> }[];
    }
    await waitFor(async () => {
      const { groups } = (await ask('rules')) as { groups: { rules: Rule[] }[] };
      const rules = groups.flatMap(({ rules }) => rules);
      expect(rules.map(({ health }) => health)).toEqual(rules.map(() => 'ok'));
      const alerts = rules.flatMap(({ name, alerts }) =>
        alerts.map(({ state, labels }) => [name, state, labels.connector ?? labels.type]),
      );
      expect(alerts).toEqual([
        ['ReconcilerRunsFail', 'pending', 'broken'],
        ['ReconcilerWebhooksNotDelivered', 'pending', 'job.failed'],
      ]);
    }, EVENTUALLY);
  });

  it('has every metric that the manual lists, and the manual lists every metric of this project', async () => {
    const text = readFileSync(join(ROOT, 'docs/operations/metrics.md'), 'utf8');
    const listed = [...text.matchAll(/^\| `(reconciler_\w+)`/gm)].map(([, name]) => name as string);
    const stored = (await ask('label/__name__/values')) as string[];
    const ours = stored.filter((name) => name.startsWith('reconciler_'));
    const families = new Set(ours.map((name) => name.replace(/_(bucket|sum|count)$/, '')));
    expect([...listed].sort()).toEqual([...families].sort());
  });
});
