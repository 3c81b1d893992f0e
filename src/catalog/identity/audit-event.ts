import type { Role } from './principal.ts';

/** What is recorded of a call; see audit.proto. */
export interface AuditEvent {
  /** Milliseconds since 1970. */
  at: number;
  /** Empty for calls that concern no tenant. */
  tenant: string;
  subject: string;
  issuer: string;
  roles: readonly Role[];
  /** `reconciler.v1.Tables/DeleteTable`. */
  method: string;
  resource: string;
  allowed: boolean;
  /** The name of a gRPC status. */
  code: string;
  /** The paths of an update mask. */
  fields: readonly string[];
  peer: string;
  traceId: string;
}
