import { PartitionSpec } from '../../generated/reconciler/v1/tables.ts';
import { transformResultType } from '../../stats/transform-result-type.ts';

interface PartitionField {
  /** The type that its values have now: a column may have been widened since a file was written. Undefined if its column is not known any more. */
  type: string | undefined;
  /** Undefined if the spec is not known. */
  sourceId: number | undefined;
}

/** The fields of a table's partition specs. */
export class PartitionFields {
  readonly #typeOf: (columnId: number) => string | undefined;
  readonly #specs: ReadonlyMap<number, PartitionSpec>;
  readonly #fields = new Map<number, Map<number, PartitionField>>();

  /**
   * @param specs the table's partition specs as JSON
   * @param typeOf the current type of a column
   */
  constructor(specs: string, typeOf: (columnId: number) => string | undefined) {
    this.#typeOf = typeOf;
    this.#specs = new Map(
      (JSON.parse(specs) as unknown[]).map(PartitionSpec.fromJSON).map((spec) => [spec.specId, spec]),
    );
  }

  /** A spec's fields by id. */
  of(specId: number): ReadonlyMap<number, PartitionField> {
    let fields = this.#fields.get(specId);
    if (!fields) {
      const described = this.#specs.get(specId)?.fields ?? [];
      fields = new Map(
        described.map(({ fieldId, transform, sourceIds: [sourceId] }) => {
          return [fieldId, { sourceId, type: transformResultType(transform, this.#typeOf(sourceId ?? -1)) }];
        }),
      );
      this.#fields.set(specId, fields);
    }
    return fields;
  }
}
