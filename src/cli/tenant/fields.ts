import { type Command, InvalidArgumentError } from 'commander';
import type { Tenant, TenantLimits } from '../../generated/reconciler/v1/tenants.ts';
import { count } from '../io/format.ts';
import { LIMITS } from './limits.ts';

/** Values of the options that set the fields of a tenant, by the names that commander gives them. */
export type FieldOptions = { description?: string; namespace?: string; taskQueue?: string } & Record<string, unknown>;

/** Adds an option for each field of a tenant. */
export function addFieldOptions(command: Command): Command {
  command
    .option('--description <text>', 'what the tenant is for')
    .option('--namespace <name>', "namespace in Temporal of its jobs ('' for that of the catalog service)")
    .option('--task-queue <name>', "task queue of its ingests ('' for the common one)");
  for (const { flag, meaning, byDefault } of LIMITS)
    command.option(`--${flag} <n>`, `limit of its ${meaning}; 0 for the default of ${count(byDefault)}`, limit);
  return command;
}

/** The tenant with the fields that options set. */
export function withFields(tenant: Partial<Tenant>, options: FieldOptions): Partial<Tenant> {
  const limits: Partial<Record<keyof TenantLimits, number | bigint>> = { ...tenant.limits };
  for (const { field, flag } of LIMITS) {
    const value = options[camelCase(flag)] as number | undefined;
    if (value !== undefined) limits[field] = BIG.has(field) ? BigInt(value) : value;
  }
  return {
    ...tenant,
    description: options.description ?? tenant.description,
    temporalNamespace: options.namespace ?? tenant.temporalNamespace,
    taskQueue: options.taskQueue ?? tenant.taskQueue,
    limits: limits as TenantLimits,
  };
}

/** Fields that are 64-bit integers. */
const BIG: ReadonlySet<keyof TenantLimits> = new Set(['connectors', 'tables', 'files']);
const MAX_INT32 = 2 ** 31 - 1;

function limit(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= MAX_INT32) return value;
  throw new InvalidArgumentError(`is not a whole number from 0 to ${MAX_INT32}`);
}

const camelCase = (flag: string) => flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
