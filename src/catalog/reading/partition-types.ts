import { PartitionSpec } from '../../generated/reconciler/v1/tables.ts';
import { transformResultType } from '../../stats/transform-result-type.ts';

/** The types that partition values have now: a column may have been widened since a file was written. */
export class PartitionTypes {
  readonly #typeOf: (columnId: number) => string | undefined;
  readonly #specs: ReadonlyMap<number, PartitionSpec>;
  readonly #types = new Map<number, Map<number, string | undefined>>();

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

  /** The types of a spec's values by field id. One is undefined if its column is not known any more. */
  of(specId: number): ReadonlyMap<number, string | undefined> {
    let types = this.#types.get(specId);
    if (!types) {
      const fields = this.#specs.get(specId)?.fields ?? [];
      types = new Map(
        fields.map(({ fieldId, transform, sourceIds }) => {
          return [fieldId, transformResultType(transform, this.#typeOf(sourceIds[0] ?? -1))];
        }),
      );
      this.#types.set(specId, types);
    }
    return types;
  }
}
