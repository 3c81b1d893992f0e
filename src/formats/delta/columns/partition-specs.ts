import type { PartitionSpec } from '../../table-reader.ts';

/** First partition field id (Iceberg spec, "Partition Specs"). */
const FIRST_FIELD_ID = 1000;

/** Numbers the lists of partition columns of one table. A renamed column is still the same. */
export class PartitionSpecs {
  /** All that are known so far; it grows. A column that was renamed has the name of the version that was read last. */
  readonly all: PartitionSpec[] = [];
  readonly #specIds = new Map<string, number>();
  /** Partition field ids by the id of their column. */
  readonly #fieldIds = new Map<number, number>();
  #nextSpecId = 0;
  #nextFieldId = FIRST_FIELD_ID;

  /** @param known the specs that the catalog has */
  constructor(known: readonly PartitionSpec[]) {
    for (const spec of known) {
      const { specId, fields } = spec;
      this.all.push(spec);
      const sources = fields.map(({ sourceIds: [source = -1] }) => source);
      this.#specIds.set(keyOf(sources), specId);
      this.#nextSpecId = Math.max(this.#nextSpecId, specId + 1);
      for (const [index, { fieldId }] of fields.entries()) {
        this.#fieldIds.set(sources[index] as number, fieldId);
        this.#nextFieldId = Math.max(this.#nextFieldId, fieldId + 1);
      }
    }
  }

  /** @param columns in the order of the metadata */
  specOf(columns: readonly { id: number; name: string }[]): PartitionSpec {
    const key = keyOf(columns.map(({ id }) => id));
    const known = this.#specIds.get(key);
    const specId = known ?? this.#nextSpecId++;
    if (known === undefined) this.#specIds.set(key, specId);
    const fields = columns.map(({ id, name }) => {
      return { fieldId: this.#fieldIdOf(id), name, transform: 'identity', sourceIds: [id] };
    });
    const spec = { specId, fields };
    const index = this.all.findIndex((other) => other.specId === specId);
    if (index < 0) this.all.push(spec);
    else this.all[index] = spec;
    return spec;
  }

  #fieldIdOf(columnId: number): number {
    const known = this.#fieldIds.get(columnId);
    if (known !== undefined) return known;
    this.#fieldIds.set(columnId, this.#nextFieldId);
    return this.#nextFieldId++;
  }
}

const keyOf = (columnIds: readonly number[]) => columnIds.join();
