import { Role as RoleProto } from '../../generated/reconciler/v1/tokens.ts';
import { ROLES, type Role } from '../identity/principal.ts';

const TO_PROTO: Record<Role, RoleProto> = {
  reader: RoleProto.ROLE_READER,
  operator: RoleProto.ROLE_OPERATOR,
  admin: RoleProto.ROLE_ADMIN,
  worker: RoleProto.ROLE_WORKER,
  platform: RoleProto.ROLE_PLATFORM,
};

export function rolesToProto(roles: readonly Role[]): RoleProto[] {
  return roles.map((role) => TO_PROTO[role]);
}

/** @returns each role once; undefined if a value is no role */
export function rolesFromProto(values: readonly RoleProto[]): Role[] | undefined {
  if (!values.every((value) => ROLES.some((role) => TO_PROTO[role] === value))) return undefined;
  return ROLES.filter((role) => values.includes(TO_PROTO[role]));
}
