/** Whether a URL's host is this machine: loopback addresses (RFC 1122, RFC 4291) and `localhost` (RFC 6761). */
export function isThisMachine(url: string | undefined): boolean {
  if (url === undefined || !URL.canParse(url)) return false;
  const host = new URL(url).hostname.replace(/\.$/, '').toLowerCase();
  return /^127(\.\d{1,3}){3}$/.test(host) || host === '[::1]' || host === 'localhost' || host.endsWith('.localhost');
}
