import { CodedError } from '../../../errors.ts';
import type { PartitionSpec } from '../../table-reader.ts';
import type { MetadataAction, ProtocolAction } from '../actions.ts';

/** The state of a table's columns that one metadata action gives. */
export interface DeltaSchema {
  /** Iceberg's JSON of the schema (spec, appendix C), with field ids; a column's physical name is in it, so that ids can be kept. `schema-id` is `id`. */
  readonly json: string;
  readonly id: number;
  readonly spec: PartitionSpec;
  readonly usesColumnMapping: boolean;
}

/** Numbers schemas, partition specs and columns of one table, so that ids never change. */
export class DeltaSchemas {
  /** @param known what the catalog has of the table already, from which ids are continued */
  constructor(known?: { schemas: readonly { id: number; json: string }[]; specs: readonly PartitionSpec[] }) {
    void known;
  }

  /** @throws CodedError `UNIMPLEMENTED` or `DATA_LOSS` that names the column */
  schemaOf(metadata: MetadataAction, protocol: ProtocolAction): DeltaSchema {
    throw new CodedError('UNIMPLEMENTED', `table ${metadata.id}, reader version ${protocol.minReaderVersion}`);
  }
}
