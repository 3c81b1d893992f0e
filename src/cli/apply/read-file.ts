import { Command, type Option } from 'commander';
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type YAMLMap,
} from 'yaml';
import { type SpecFields, type SpecOptions, specOf } from '../connector/spec-fields.ts';
import { addSpecOptions } from '../connector/spec-options.ts';
import { didYouMean, similarTo } from '../io/did-you-mean.ts';
import { each, keyValue, list } from '../io/options.ts';
import { problemText, shownValue } from '../io/usage.ts';

/** A connector that a file declares. */
export interface Declared {
  name: string;
  kind: string;
  /** The fields that the file sets. */
  spec: SpecFields;
  /** Undefined if the file leaves it to people. */
  state?: 'active' | 'paused';
  /** Where a key is, or where the connector begins if it has no such key: `connectors.yaml:12:5`. */
  where(key?: string): string;
}

/** What a file declares, and everything that is wrong with it: `connectors.yaml:12:5: unknown key 'intervall'`. */
export interface FileContents {
  declared: Declared[];
  problems: string[];
}

const STATES = ['active', 'paused'];

/**
 * Reads the connectors of a file of YAML or JSON, whose documents are each a connector, a list of connectors, or a mapping with the one key
 * `connectors`. The keys of a connector are the options of `connector create` without dashes, `name` and `state`; the options themselves
 * parse the values. Problems do not contain the values of keys that can hold a secret.
 *
 * @param file its name, for messages
 */
export function readDeclarations(file: string, text: string): FileContents {
  const lines = new LineCounter();
  const reader = new Reader((offset) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  });
  // Pretty errors repeat the line, which may contain a secret.
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  for (const document of 'empty' in documents ? [] : documents) reader.document(document);
  return reader;
}

class Reader implements FileContents {
  readonly declared: Declared[] = [];
  readonly problems: string[] = [];
  readonly #at: (offset: number) => string;
  readonly #options = specKeys();
  /** For aliases. */
  #document!: Document;

  constructor(at: (offset: number) => string) {
    this.#at = at;
  }

  document(document: Document): void {
    this.#document = document;
    for (const { pos, message } of document.errors) this.#wrong(this.#at(pos[0]), syntaxProblem(message));
    if (document.errors.length > 0 || document.contents === null) return;
    const root = this.#resolved(document.contents);
    if (isMap(root) && root.has('connectors')) {
      for (const { key } of root.items) {
        if (textOf(key) !== 'connectors')
          this.#wrong(this.#place(key), `unknown key '${textOf(key)}' beside 'connectors'`);
      }
      this.#connectors(this.#resolved(root.get('connectors', true)));
    } else if (isMap(root)) {
      this.#connector(root);
    } else {
      this.#connectors(root);
    }
  }

  #connectors(node: Node | undefined): void {
    if (!isSeq(node)) {
      this.#wrong(this.#place(node), 'is neither a connector nor a list of connectors');
      return;
    }
    for (const item of node.items) {
      const connector = this.#resolved(item);
      if (isMap(connector)) this.#connector(connector);
      else this.#wrong(this.#place(item), 'is not a connector: give a mapping with name, kind, uri and so on');
    }
  }

  #connector(map: YAMLMap): void {
    const problems = this.problems.length;
    const places = new Map<string, string>();
    const values: Record<string, unknown> = {};
    for (const { key: keyNode, value } of map.items) {
      const key = textOf(keyNode) ?? '';
      const place = this.#place(keyNode);
      places.set(key, place);
      const option = this.#options.get(key);
      if (option) values[option.attributeName()] = this.#value(option, key, value, place);
      else if (key === 'name' || key === 'state') values[key] = this.#text(key, value, place);
      else this.#wrong(place, `unknown key '${key}'${this.#suggestion(key)}`);
    }
    const where = (key = '') => places.get(key) ?? this.#place(map);
    const { name, state, ...options } = values as SpecOptions & { name?: string; state?: 'active' | 'paused' };
    const subject = name === undefined ? 'the connector' : `connector '${name}'`;
    const required = ['name', 'kind', ...(options.kind === 'glue' ? [] : ['uri']), 'destination-catalog'];
    for (const key of required) if (!places.has(key)) this.#wrong(where(), `${subject} has no '${key}'`);
    if (state !== undefined && !STATES.includes(state))
      this.#wrong(where('state'), `state '${state}' is not one of ${STATES.join(', ')}`);
    if (this.problems.length > problems || name === undefined || options.kind === undefined) return;
    try {
      this.declared.push({ name, kind: options.kind, spec: specOf(options), state, where });
    } catch (error) {
      this.#wrong(where(), `${subject}: ${(error as Error).message}`);
    }
  }

  /** The value as the option's parser returns it. */
  #value(option: Option, key: string, value: unknown, place: string): unknown {
    const node = this.#resolved(value);
    const { parseArg } = option;
    try {
      if (parseArg === keyValue) return this.#map(key, node, place);
      if (isSeq(node) && (parseArg === list || parseArg === each || key === 'snapshots')) {
        const items = node.items.map((item) => this.#text(key, item, this.#place(item)) ?? '');
        return key === 'snapshots' ? option.parseArg?.(items.join(','), undefined) : items;
      }
      const text = this.#text(key, value, place);
      if (text === undefined) return undefined;
      if (option.isBoolean()) {
        if (text === 'true' || text === 'false') return text === 'true';
        return this.#wrong(place, `${key} '${text}' is neither true nor false`);
      }
      return parseArg ? parseArg(text, undefined as never) : text;
    } catch (error) {
      this.#wrong(
        place,
        `${key} '${shownValue(this.#text(key, node, place) ?? '')}' ${problemText((error as Error).message)}`,
      );
    }
  }

  #map(key: string, node: Node | undefined, place: string): Record<string, string> | undefined {
    if (!isMap(node)) return this.#wrong(place, `'${key}' is not a mapping: write its keys and values below it`);
    const entries = node.items.map((pair) => {
      const name = textOf(pair.key) ?? '';
      return [name, this.#text(name, pair.value, this.#place(pair.key)) ?? ''];
    });
    return Object.fromEntries(entries);
  }

  /** A scalar as it is written, so that `1.50` and a 64-bit number stay what they are. */
  #text(key: string, value: unknown, place: string): string | undefined {
    const node = this.#resolved(value);
    const text = textOf(node);
    if (text !== undefined) return text;
    if (isAlias(value) && node === undefined)
      return this.#wrong(place, `the alias of '${key}' has no anchor before it`);
    const isNull = node === undefined || isScalar(node);
    this.#wrong(
      place,
      isNull ? `'${key}' has no value: give one, or remove the key` : `'${key}' must be a single value`,
    );
  }

  #suggestion(key: string): string {
    const names = [...this.#options.keys(), 'name', 'state'];
    const question = didYouMean(similarTo(key, names));
    return question ? `; ${question}` : '; the keys are the options of `reconciler connector create`, without dashes';
  }

  #resolved(node: unknown): Node | undefined {
    return isAlias(node) ? node.resolve(this.#document) : ((node as Node | null) ?? undefined);
  }

  #place(node: unknown): string {
    return this.#at((node as Node | undefined)?.range?.[0] ?? 0);
  }

  #wrong(place: string, problem: string): undefined {
    this.problems.push(`${place}: ${problem}`);
  }
}

/** Undefined for null and for what is no scalar. */
function textOf(node: unknown): string | undefined {
  if (!isScalar(node) || node.value === null) return undefined;
  return node.source ?? String(node.value);
}

/** The message without the text that it quotes. */
const syntaxProblem = (message: string) => `is not valid YAML: ${message.replace(/:? ?(?<!\w)["`'][\s\S]*["`']/, '')}`;

/** The options that describe a connector, by their names without dashes. */
function specKeys(): Map<string, Option> {
  const { options } = addSpecOptions(new Command(), { kind: true });
  return new Map(options.filter(({ negate }) => !negate).map((option) => [option.long?.slice(2) ?? '', option]));
}
