/**
 * Stored instead of a table's fingerprint: the table can be read, and the next run looks at it again, whatever the upstream reports. No
 * upstream has this fingerprint.
 */
export const UNFINISHED = 'unfinished';
