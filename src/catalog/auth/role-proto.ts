import { Role as ProtoRole } from '../../generated/reconciler/v1/tokens.ts';
import type { Role } from '../identity/principal.ts';

const PROTO: Readonly<Record<Role, ProtoRole>> = {
  reader: ProtoRole.ROLE_READER,
  operator: ProtoRole.ROLE_OPERATOR,
  admin: ProtoRole.ROLE_ADMIN,
  worker: ProtoRole.ROLE_WORKER,
  platform: ProtoRole.ROLE_PLATFORM,
};

export const roleToProto = (role: Role): ProtoRole => PROTO[role];

/** Undefined for a role that does not exist. */
export function roleFromProto(role: ProtoRole): Role | undefined {
  return (Object.keys(PROTO) as Role[]).find((each) => PROTO[each] === role);
}
