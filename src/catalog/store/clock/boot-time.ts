import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import os from 'node:os';

/**
 * Milliseconds since the machine was started. It goes on while the machine sleeps and while this service is stopped, and setting the wall
 * clock does not change it.
 */
export function uptimeMs(): number {
  return Math.round(os.uptime() * 1000);
}

/**
 * Identifies the time since the machine's last start; uptimes of different boots cannot be compared. Only Linux has such an id. Elsewhere it
 * identifies the process, so time counts while the service runs.
 */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return randomUUID();
  }
}
