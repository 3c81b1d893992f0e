import { FormIndex } from './form-index.ts';
import { hasHost } from './patterns.ts';
import { POLICY_SETTING, PolicyError } from './policy-error.ts';
import { policyTenant } from './policy-tenant.ts';
import { formsOf, MIN_SECRET_LENGTH } from './secret-forms.ts';

/** Where a policy allows a secret to be sent. */
export interface Grant {
  /** What a connector names to use it: `env:NAME`, `the AWS profile x`, … */
  name: string;
  /** Patterns of hosts. If there are none, it may be sent nowhere. */
  hosts: readonly string[];
}

/** A request just before it is sent. */
export interface Outgoing {
  /** As `URL` writes it, with or without the brackets of an IPv6 address. */
  host: string;
  /** Empty for the default. */
  port: string;
  secure: boolean;
  path: string;
  headers: Readonly<Record<string, string>>;
  body?: string;
}

interface Governed {
  value: string;
  grants: Grant[];
  /**
   * The tenants for whose requests the limits hold; absent for all. What was derived from a secret holds for those that derived it: they choose ids of
   * keys and servers that issue tokens, and could choose a text that the requests of others have.
   */
  tenants?: Set<string>;
}

/** Secrets whose hosts are limited, by their values. The one used last is at the end. */
const governed = new Map<string, Governed>();
/** Far more than are in use at a time. Every use of a secret brings it to the end. */
const MAX_GOVERNED = 10_000;
let index: FormIndex<Governed> | undefined;
let version = 0;
/** Long values of headers without a secret, which many requests have: session tokens. Valid as long as no secret is added. */
const clean = new Set<string>();
const MAX_CLEAN = 1_000;
const LONG = 40;

/**
 * Limits to which hosts a secret is sent from now on. A value for which several grants hold may be sent to the hosts of each.
 *
 * @throws PolicyError if it is too short to be recognised in requests, unless the grant has all hosts
 */
export function governSecret(value: string, grant: Grant): void {
  if (value.length < MIN_SECRET_LENGTH && !grant.hosts.includes('*')) {
    throw new PolicyError(
      `${grant.name} has fewer than ${MIN_SECRET_LENGTH} characters, too few to recognise it in requests: use a longer secret, or the host "*" in ` +
        `the worker's policy (${POLICY_SETTING})`,
    );
  }
  // White space at the ends is often left out: files end with line breaks.
  for (const form of new Set([value, value.trim()])) govern(form, [grant], undefined);
}

/**
 * Limits a secret as another one is limited that it was made with; without it, as those of which it is a part. Nothing changes if there is none.
 *
 * @throws PolicyError if it is too short to be recognised in requests, unless the other one has all hosts
 */
export function inheritGrants(value: string, source?: string): void {
  if (governed.size === 0) return;
  const known = source === undefined ? undefined : governed.get(source);
  if (value.length < MIN_SECRET_LENGTH) {
    if (known === undefined || known.grants.some(({ hosts }) => hosts.includes('*'))) return;
    throw new PolicyError(
      `what is used or was issued together with ${known.grants[0]?.name} (a key id or a token) has fewer than ${MIN_SECRET_LENGTH} characters, too few to ` +
        `recognise it in requests: use a longer one, or the host "*" in the worker's policy (${POLICY_SETTING})`,
    );
  }
  const whole = known ? [known] : [...governed.values()].filter((each) => isPart(source ?? value, each.value));
  const grants = whole.flatMap((each) => each.grants);
  if (grants.length > 0) govern(value, grants, policyTenant());
}

/** A number that grows when a limit is added, so that what was derived from others is looked at again. */
export function grantsVersion(): number {
  return version;
}

/** Forgets all limits. For tests. */
export function forgetGrants(): void {
  governed.clear();
  clean.clear();
  index = undefined;
  version++;
}

/** @param tenant for whose requests the limits hold; undefined for all */
function govern(value: string, grants: readonly Grant[], tenant: string | undefined): void {
  if (value.length < MIN_SECRET_LENGTH) return;
  const before = governed.get(value);
  const entry = before ?? { value, grants: [], ...(tenant !== undefined && { tenants: new Set<string>() }) };
  if (tenant === undefined) delete entry.tenants;
  else entry.tenants?.add(tenant);
  for (const grant of grants) {
    if (entry.grants.includes(grant)) continue;
    entry.grants.push(grant);
    version++;
  }
  governed.delete(value);
  governed.set(value, entry);
  if (before === undefined) {
    if (index !== undefined) addForms(index, entry);
    clean.clear();
  }
  for (const [oldest] of governed) {
    if (governed.size <= MAX_GOVERNED) break;
    governed.delete(oldest);
    index = undefined;
  }
}

/** Whether a text is a part of a secret, also of one that is JSON, whose texts are escaped. */
function isPart(text: string, secret: string): boolean {
  if (text.length > secret.length) return false;
  return secret.includes(text) || (secret.startsWith('{') && textsIn(secret).some((each) => each.includes(text)));
}

function textsIn(secret: string): string[] {
  const texts: string[] = [];
  try {
    JSON.parse(secret, (_, value) => {
      if (typeof value === 'string') texts.push(value);
      return value;
    });
  } catch {
    // Not JSON.
  }
  return texts;
}

/**
 * Checks a request at the last step before it is sent: no secret in its path, headers or body may have other hosts.
 *
 * @throws PolicyError that names the reference and the host
 */
export function checkOutgoing({ host, port, secure, path, headers, body }: Outgoing): void {
  if (governed.size === 0) return;
  index ??= indexed();
  const at = hostAndPort(host, port, secure);
  const check = (entry: Governed) => requireHost(entry, at);
  index.search(at.host + path, check);
  if (path.includes('%')) index.search(percentDecoded(path), check);
  for (const name in headers) {
    const value = headers[name] as string;
    // The signature of a request is in no other.
    if (value.length < LONG || name === 'authorization') index.search(value, check);
    else if (!clean.has(value) && !index.search(value, check)) keepClean(value);
  }
  if (body === undefined) return;
  index.search(body, check);
  // A space of a form is a plus sign.
  if (/[%+]/.test(body))
    for (const form of [body, body.replaceAll('+', ' ')]) index.search(percentDecoded(form), check);
}

function keepClean(value: string): void {
  if (clean.size === MAX_CLEAN) clean.clear();
  clean.add(value);
}

/**
 * Checks the use of a secret of which a request has only what is made with it: a signature.
 *
 * @throws PolicyError that names the reference and the host
 */
export function checkSecretUse(secret: string, url: URL): void {
  const entry = governed.get(secret);
  if (entry !== undefined) requireHost(entry, hostAndPort(url.hostname, url.port, url.protocol === 'https:'));
}

function indexed(): FormIndex<Governed> {
  const all = new FormIndex<Governed>();
  for (const entry of governed.values()) addForms(all, entry);
  return all;
}

function addForms(all: FormIndex<Governed>, entry: Governed): void {
  if (entry.grants.some(({ hosts }) => hosts.includes('*'))) return;
  // Host names are in lower case.
  for (const form of new Set([...formsOf(entry.value), entry.value.toLowerCase()])) all.add(form, entry);
}

interface At {
  host: string;
  port: string;
}

function hostAndPort(host: string, port: string, secure: boolean): At {
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return { host: name.toLowerCase(), port: port || (secure ? '443' : '80') };
}

function requireHost({ grants, tenants }: Governed, { host, port }: At): void {
  if (tenants !== undefined && !tenants.has(policyTenant())) return;
  if (grants.some(({ hosts }) => hosts.some((pattern) => hasHost(pattern, host, port)))) return;
  const names = [...new Set(grants.map(({ name }) => name))].join(' or ');
  throw new PolicyError(
    `${names} may not be sent to ${host}:${port}, which is not one of the hosts that the worker's policy (${POLICY_SETTING}) lists for it. Correct the ` +
      "connector's address, or have the host added to the entry's hosts",
  );
}

/** What is percent-encoded in the text, decoded; invalid sequences stay. */
function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Some of it is not UTF-8.
  }
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (encoded) => Buffer.from(encoded.replaceAll('%', ''), 'hex').toString());
}
