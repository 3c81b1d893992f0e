import { spawn } from 'node:child_process';

/** Ends process groups that outlive this process, however it ends. */
export interface Reaper {
  add(group: number): void;
  remove(group: number): void;
  /** Lets it end; to be called when all groups are removed. */
  close(): void;
}

/**
 * Reads the groups to end from its stdin. The pipe ends with the process that writes to it, by `kill -9` too: what is still
 * on the list then is asked to end, and three seconds later made to. A shell, since it waits in 1 MB.
 */
const SCRIPT = `
groups=
while read -r verb group; do
  case $verb in
    add) groups="$groups $group" ;;
    remove) rest=; for one in $groups; do [ "$one" = "$group" ] || rest="$rest $one"; done; groups=$rest ;;
  esac
done
[ -n "$groups" ] || exit 0
for one in $groups; do kill -s TERM -- "-$one"; done
sleep 3
for one in $groups; do kill -s KILL -- "-$one"; done
`;

export function startReaper(): Reaper {
  // Detached: what is sent to the group of this process (Ctrl-C, kill of a group) must not end the reaper first.
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
