import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Addresses in /proc/net/tcp are hexadecimal, in the byte order of the machine. */
const LOOPBACK: Record<string, true> = { '0100007F': true, '00000000000000000000000001000000': true };

/** The TCP sockets on which a process listens (Linux), with whether other machines can reach them. */
export function listeningSockets(pid: number): { port: number; isLoopback: boolean }[] {
  const fds = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      // It has been closed meanwhile.
      return [];
    }
  });
  const inodes = new Set(fds.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
  return ['tcp', 'tcp6'].flatMap((table) => {
    const lines = readFileSync(`/proc/${pid}/net/${table}`, 'utf8').trim().split('\n').slice(1);
    return lines.flatMap((line) => {
      // proc(5): number, local address, remote address, state, queues, timer, retransmits, user, timeouts, inode.
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
      const [address = '', port = ''] = local.split(':');
      const listens = state === '0A' && inodes.has(inode);
      return listens ? [{ port: Number.parseInt(port, 16), isLoopback: LOOPBACK[address] === true }] : [];
    });
  });
}
