import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  /** Empty for a root span. */
  parentId: string;
  name: string;
  service: string;
  /** Only attributes that are strings. */
  attributes: Record<string, string>;
  /** Status code; 2 is an error. */
  status: number;
}

export interface OtlpReceiver extends AsyncDisposable {
  readonly url: string;
  readonly spans: ReceivedSpan[];
  /** Bodies as received, decompressed. */
  readonly bodies: Buffer[];
}

/** Receives traces by OTLP over HTTP, as collectors do: https://opentelemetry.io/docs/specs/otlp/#otlphttp */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const bodies: Buffer[] = [];
  const server = createServer(async (request, response) => {
    const packed = await buffer(request);
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(packed) : packed;
    const wrong = request.url !== '/v1/traces' || request.headers['content-type'] !== 'application/x-protobuf';
    if (!wrong) {
      bodies.push(body);
      spans.push(...decode(body));
    }
    response.writeHead(wrong ? 400 : 200, { 'content-type': 'application/x-protobuf' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    bodies,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

type Fields = Map<number, (Uint8Array | number)[]>;

/** The fields of a message by number: bytes for length-delimited fields, otherwise numbers. */
function fields(message: Uint8Array): Fields {
  const reader = new BinaryReader(message);
  const found: Fields = new Map();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const values = found.get(number) ?? [];
    found.set(number, values);
    if (type === WireType.LengthDelimited) values.push(reader.bytes());
    else if (type === WireType.Varint) values.push(Number(reader.uint64()));
    else reader.skip(type, number);
  }
  return found;
}

const messages = (of: Fields, number: number) => (of.get(number) ?? []) as Uint8Array[];
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('utf8');
const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex');

/** ExportTraceServiceRequest of opentelemetry/proto/collector/trace/v1/trace_service.proto, with the field numbers of that file and of trace/v1/trace.proto. */
function decode(body: Uint8Array): ReceivedSpan[] {
  return messages(fields(body), 1).flatMap((resourceSpans) => {
    const part = fields(resourceSpans);
    const resource = fields(messages(part, 1)[0] as Uint8Array);
    const service = attributesOf(messages(resource, 1))['service.name'] ?? '';
    return messages(part, 2)
      .flatMap((scopeSpans) => messages(fields(scopeSpans), 2))
      .map((span) => {
        const of = fields(span);
        const status = messages(of, 15)[0];
        return {
          traceId: hex(messages(of, 1)[0]),
          spanId: hex(messages(of, 2)[0]),
          parentId: hex(messages(of, 4)[0]),
          name: text(messages(of, 5)[0]),
          service,
          attributes: attributesOf(messages(of, 9)),
          status: Number((status && fields(status).get(3)?.[0]) ?? 0),
        };
      });
  });
}

/** KeyValue and AnyValue of common/v1/common.proto. */
function attributesOf(pairs: Uint8Array[]): Record<string, string> {
  const entries = pairs.map((pair) => {
    const [key, value] = [messages(fields(pair), 1)[0], messages(fields(pair), 2)[0] as Uint8Array];
    return [text(key), text(messages(fields(value), 1)[0])];
  });
  return Object.fromEntries(entries);
}
