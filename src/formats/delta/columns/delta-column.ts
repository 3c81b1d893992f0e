/** A column of the table, or a field of a struct in it, as the statistics of its files are read. */
export interface DeltaColumn {
  /** Field id. */
  readonly id: number;
  /** The name in statistics and partition values. */
  readonly physicalName: string;
  /** Iceberg's name of a primitive type; absent for structs, lists and maps. */
  readonly type?: string;
  /** The fields of a struct. */
  readonly fields?: readonly DeltaColumn[];
  /** Whether it was a float before it became a double (`delta.typeChanges`): its older statistics are texts of floats. */
  readonly wasFloat: boolean;
  /** Whether its strings are not compared by their bytes, so that the bounds of a file exclude values that it has. */
  readonly isCollated: boolean;
}
