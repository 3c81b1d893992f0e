import { escapeControls } from '../../text.ts';

/** Placeholder for a missing value. */
export const NONE = '-';

/** 1234567 as `1,234,567`. */
export function count(value: bigint | number | undefined): string {
  return value === undefined || value < 0 ? NONE : value.toLocaleString('en-US');
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** 1536 as `1.5 KiB`. */
export function bytes(value: bigint | number | undefined): string {
  if (value === undefined) return NONE;
  let amount = Number(value);
  let unit = 0;
  while (Math.abs(amount) >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${UNITS[unit]}`;
}

/** ISO 8601 in UTC, to the second. */
export function time(value: Date | undefined): string {
  // A number of seconds that no Date can hold.
  return value === undefined || Number.isNaN(value.getTime()) ? NONE : value.toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** 83,000 ms as `1m23s`; less than a minute with tenths: `4.2s`. */
export function duration(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${String(seconds % 60).padStart(2, '0')}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`;
}

/** `CONNECTOR_KIND_ICEBERG` as `iceberg`. */
export function word(value: string, prefix: string): string {
  return (value.startsWith(prefix) ? value.slice(prefix.length) : value).toLowerCase().replaceAll('_', ' ');
}

/** Escapes control characters: names and messages from upstream must not control the terminal, or look like others. */
export function printable(text: string): string {
  return escapeControls(text.replace(/[\n\t]/g, ' '));
}
