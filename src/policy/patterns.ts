/** Host patterns: `catalog.example.com`, `*.example.com` for all names below it, `*` for every host; each may have a port. */
const HOST = /^(\*|(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(:\d{1,5})?$/i;

/** What is wrong with a host pattern; undefined if nothing is. */
export function hostProblem(pattern: string): string | undefined {
  return HOST.test(pattern)
    ? undefined
    : `${JSON.stringify(pattern)} is not a host such as catalog.example.com, *.example.com or 10.0.0.5:8181`;
}

/**
 * Whether a host pattern has a host. Without a port it has all ports. `*.example.com` does not have `example.com` itself.
 *
 * @param host in the form of `URL`'s `hostname`: in lower case, IPv6 addresses in brackets
 */
export function hasHost(pattern: string, host: string, port: string): boolean {
  const [, name = '', wanted] = /^(.*?)(?::(\d+))?$/.exec(pattern.toLowerCase()) ?? [];
  if (wanted !== undefined && wanted !== port) return false;
  const plain = host.replace(/\.$/, '');
  if (name === '*') return true;
  return name.startsWith('*.') ? plain.endsWith(name.slice(1)) && plain.length >= name.length : plain === name;
}

/** Whether a text fits a pattern in which each `*` stands for any characters, also none. */
export function fits(pattern: string, text: string): boolean {
  const parts = pattern.split('*');
  const [first = '', last = ''] = [parts[0], parts.at(-1)];
  if (parts.length === 1) return text === pattern;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  let at = first.length;
  const end = text.length - last.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
