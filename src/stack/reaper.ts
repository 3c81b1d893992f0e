import { spawn } from 'node:child_process';

/** Ends the process groups that outlive this process, however this process ends. */
export interface Reaper {
  add(group: number): void;
  remove(group: number): void;
  /** Ends the reaper itself. Call it once all groups are removed. */
  close(): void;
}

/**
 * Reads the list of groups from stdin. The pipe closes when the writing process ends, even by `kill -9`; the groups still listed then get
 * SIGTERM, and SIGKILL three seconds later. It is a shell script because a waiting shell takes only 1 MB of memory.
 */
const SCRIPT = `
groups=
while read -r verb group; do
  case $verb in
    add) groups="$groups $group" ;;
    remove) kept=; for g in $groups; do [ "$g" = "$group" ] || kept="$kept $g"; done; groups=$kept ;;
  esac
done
[ -n "$groups" ] || exit 0
for g in $groups; do kill -s TERM -- "-$g"; done
sleep 3
for g in $groups; do kill -s KILL -- "-$g"; done
`;

export function startReaper(): Reaper {
  // Detached, because a signal to this process's group (Ctrl-C, kill of a group) must not end the reaper first.
  const shell = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'], detached: true, cwd: '/' });
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  return {
    add: (group) => void shell.stdin.write(`add ${group}\n`),
    remove: (group) => void shell.stdin.write(`remove ${group}\n`),
    close: () => void shell.stdin.end(),
  };
}
