/**
 * Whether the column belongs to position delete files (Iceberg spec, "Reserved Field IDs": row, pos, file_path). The table does not have these
 * columns; it does have those of row lineage, which are also reserved.
 */
export function isDeleteFileColumn(id: number): boolean {
  return id >= 2_147_483_544 && id <= 2_147_483_546;
}
