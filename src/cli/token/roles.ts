import { InvalidArgumentError } from 'commander';
import { Role, roleFromJSON, roleToJSON } from '../../generated/reconciler/v1/tokens.ts';
import { word } from '../io/format.ts';
import { list } from '../io/options.ts';

/** As people type them. */
export const ROLES = Object.values(Role)
  .filter((role) => role !== Role.ROLE_UNSPECIFIED)
  .map(roleWord);

/** `ROLE_ADMIN` as `admin`. */
export function roleWord(role: Role): string {
  return word(roleToJSON(role), 'ROLE_');
}

/** `reader,operator`; nothing for a caller without a role. */
export const roleWords = (roles: readonly Role[]) => roles.map(roleWord).join(', ');

/** Comma-separated roles; the option may be repeated. */
export function roles(text: string, before: Role[] = []): Role[] {
  const names = list(text.toLowerCase());
  if (names.length === 0 || !names.every((name) => ROLES.includes(name)))
    throw new InvalidArgumentError(`is not one of ${ROLES.join(', ')}, or several of them, separated by commas`);
  return [...before, ...names.map((name) => roleFromJSON(`ROLE_${name.toUpperCase()}`))];
}
