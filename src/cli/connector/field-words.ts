import { violationsIn } from '../io/errors.ts';
import { SPEC_FIELDS } from './spec-fields.ts';

/** What is wrong with an option, or with a file's key of the same name. */
export interface FieldProblem {
  /** Without dashes; undefined if no option sets the field. */
  option?: string;
  /** Continues the option's name: `has the scheme 'ftp', but this kind supports …`. */
  problem: string;
}

/** Options of requests other than those that describe a connector. */
const OTHERS: Record<string, string> = {
  destination_namespace_paths: 'namespace',
  destination_table_name: 'table',
  destination_columns: 'columns',
  columns: 'columns',
  snapshots: 'snapshots',
  mode: 'mode',
  as_of: 'as-of',
  snapshot_id: 'snapshot',
};

/** Options whose values are the names of an enum in lower case. */
const ENUMS = ['auth-scheme', 'kind', 'state'];
const lowerCase = (text: string) => text.replace(/\b[A-Z][A-Z0-9]+\b/g, (name) => name.toLowerCase());

const PATHS = new Map<string, string>([
  ...Object.entries(OTHERS),
  ['connector.display_name', 'name'],
  ['connector.kind', 'kind'],
  ['connector.state', 'state'],
  ['connector.managed_by', 'set'],
  ...SPEC_FIELDS.map(({ path, keys }) => [`connector.${path}`, keys[0] ?? ''] as const),
]);

/** The violations of a call that the catalog refused, in the words of the command line. Empty if the error has none. */
export function fieldProblems(error: unknown): FieldProblem[] {
  return violationsIn(error).map(({ field, description }) => {
    const option = optionOf(field);
    const entry = /\[([^\]]*[^\]\d][^\]]*)\]$/.exec(field)?.[1];
    const words = option && ENUMS.includes(option) ? lowerCase(description) : withOptions(description);
    const problem = `${entry === undefined ? '' : `'${entry}' `}${words}`;
    return option === undefined ? { problem: `${field}: ${problem}` } : { option, problem };
  });
}

/** `--cron '61 * * * *' is …; --uri …`; undefined if the error has no violations. */
export function inWordsOfOptions(error: unknown): string | undefined {
  const problems = fieldProblems(error).map(({ option, problem }) =>
    option === undefined ? problem : option === 'name' ? `the name ${problem}` : `--${option} ${problem}`,
  );
  return problems.length > 0 ? problems.join('; ') : undefined;
}

/** The option that sets a field, or the message that it belongs to: `connector.source.snapshots.latest` is part of `--snapshots`. */
function optionOf(field: string): string | undefined {
  for (let path = field.replace(/ key$|\[[^\]]*\]/g, ''); path !== ''; path = path.replace(/\.?[^.]*$/, '')) {
    const option = PATHS.get(path);
    if (option !== undefined) return option;
  }
  return undefined;
}

/** Descriptions name other fields by their paths below the connector, which have two parts at least. */
function withOptions(description: string): string {
  return description.replace(/\b[a-z]+(\.[a-z_]+)+\b/g, (path) => {
    const option = PATHS.get(`connector.${path}`);
    return option === undefined ? path : `--${option}`;
  });
}
