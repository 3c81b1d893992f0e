import type { Command } from 'commander';
import type { CatalogAccess } from '../../catalog-client/access.ts';
import { openAccess } from '../../catalog-client/open-access.ts';
import { readConfig } from '../../config.ts';
import { TENANT_ID } from '../../contract/tenant.ts';
import { UsageError } from '../io/errors.ts';

/** How the command's calls to this address identify their caller: the settings, with `--token-file` and `--tenant`. */
export function accessOf(command: Command, address: string): CatalogAccess {
  const { tokenFile } = command.optsWithGlobals<{ tokenFile?: string }>();
  return openAccess(readConfig(), address, { tokenFile, tenant: tenantOption(command) });
}

/** The value of `--tenant`, if it was given. */
export function tenantOption(command: Command): string | undefined {
  const { tenant } = command.optsWithGlobals<{ tenant?: string }>();
  if (tenant === undefined || TENANT_ID.test(tenant)) return tenant;
  throw new UsageError(
    `--tenant '${tenant}' is not a tenant: use 1 to 63 lower-case letters, digits and hyphens, beginning with a letter`,
  );
}
