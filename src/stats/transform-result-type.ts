/**
 * The result type of a transform (spec, "Partition Transforms"); undefined if the source column was dropped or the transform is unknown.
 */
export function transformResultType(transform: string, sourceType: string | undefined): string | undefined {
  switch (/^[a-z]+/.exec(transform)?.[0]) {
    case 'bucket':
    case 'year':
    case 'month':
    case 'hour':
      return 'int';
    case 'day':
      // The spec says int, but it is days since 1970-01-01, and Iceberg Java uses date.
      return 'date';
    case 'identity':
    case 'truncate':
    case 'void':
      return sourceType;
    default:
      return undefined;
  }
}

/** Whether a transform's results have the type of their column, and so become wider with it. */
export function hasTypeOfColumn(transform: string): boolean {
  return /^(identity|truncate|void)/.test(transform);
}
