import { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { isSecretReference } from '../../secrets.ts';
import { type Declaration, type DeclaredValue, declarationOf } from '../connector/declaration.ts';
import { SPEC_FIELDS } from '../connector/spec-fields.ts';
import type { Declared } from './read-file.ts';

/** A key whose value changes, as it is shown; `from` is undefined if it had its default value, `to` if it gets it. */
export interface Change {
  key: string;
  from?: DeclaredValue;
  to?: DeclaredValue;
}

/** What the file changes in a stored connector, or in an empty one. What it does not declare gets its default value, except the state. */
export function changesOf(declared: Declared, stored: Connector = Connector.create()): Change[] {
  const wanted = Connector.fromPartial({ ...declared.spec.connector, displayName: declared.name });
  const [before, after] = [declarationOf(stored), declarationOf(wanted)];
  if (declared.state === undefined) delete before.state;
  else if (declared.state === 'paused') after.state = 'paused';
  return keysOf(before, after)
    .filter((key) => key !== 'name' && JSON.stringify(before[key]) !== JSON.stringify(after[key]))
    .map((key) => ({ key, from: masked(key, before[key]), to: masked(key, after[key]) }));
}

/** The paths of an update mask for the changes. */
export function pathsOf(changes: readonly Change[]): string[] {
  const changed = new Set(changes.map(({ key }) => key));
  // The default of `schedule` depends on these two, so the file does not show that it changes with them.
  if (changed.has('interval') || changed.has('cron')) changed.add('schedule');
  const paths = SPEC_FIELDS.filter(({ keys }) => keys.some((key) => changed.has(key))).map(({ path }) => path);
  return changed.has('state') ? [...paths, 'state'] : paths;
}

/** `max-parallel: 8 → 16`, one line per key, or per entry of a key that has several. */
export function changeLines({ key, from, to }: Change): string[] {
  if (isMap(from) || isMap(to)) {
    const [before, after] = [isMap(from) ? from : {}, isMap(to) ? to : {}];
    return keysOf(before, after)
      .filter((name) => before[name] !== after[name])
      .map((name) => `${key} ${name}: ${arrow(before[name], after[name])}`);
  }
  return [`${key}: ${arrow(shown(from), shown(to))}`];
}

const arrow = (from: string | undefined, to: string | undefined) =>
  from === undefined ? (to ?? '') : `${from} → ${to ?? '(default)'}`;

const shown = (value: DeclaredValue | undefined) => (Array.isArray(value) ? value.join(', ') : value?.toString());

/** The path of a webhook's URL is often a secret. */
function masked(key: string, value: DeclaredValue | undefined): DeclaredValue | undefined {
  if (key !== 'webhook' || typeof value !== 'string' || isSecretReference(value)) return value;
  return URL.canParse(value) ? `${new URL(value).origin}/…` : '…';
}

function isMap(value: DeclaredValue | undefined): value is { [key: string]: string } {
  return typeof value === 'object' && !Array.isArray(value);
}

const keysOf = (a: Declaration, b: Declaration) => [...new Set([...Object.keys(a), ...Object.keys(b)])];
