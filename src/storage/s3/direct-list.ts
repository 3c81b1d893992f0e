import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import {
  ListObjectsV2$,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  type ListObjectsV2CommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { type HttpProtocol, HttpResponse } from '@smithy/core/protocols';
import { operation } from '@smithy/core/schema';
import type { CallOptions } from '../aws/request-handler.ts';
import { directRequest } from './direct-request.ts';

const [, ...SCHEMA] = ListObjectsV2$;
const LIST = operation(...SCHEMA);
/** The beginning of a page. S3 also returns errors with the status 200. */
const PAGE = /^[^<]*(<\?[^>]*>[^<]*)?<ListBucketResult[\s>]/;

type Context = Parameters<HttpProtocol['deserializeResponse']>[1];

/** Requests a page of a listing as `directRequest` does. What is not a page is passed to the SDK's command as its first attempt. */
export async function listObjects(
  client: S3Client,
  input: ListObjectsV2CommandInput & { Bucket: string },
  signed: boolean,
  counted: CallOptions,
): Promise<ListObjectsV2CommandOutput> {
  const { Bucket: bucket, RequestPayer, ...parameters } = input;
  const query: Record<string, string> = { 'list-type': '2' };
  for (const [name, value] of Object.entries(parameters)) {
    // S3's names are those of the command with hyphens: `continuation-token`.
    if (value !== undefined) query[name.replace(/\B[A-Z]/g, '-$&').toLowerCase()] = String(value);
  }
  const headers: Record<string, string> = RequestPayer ? { 'x-amz-request-payer': RequestPayer } : {};
  const { response, send } = await directRequest(client, { bucket, key: '', query, headers, signed }, counted);
  const sendCommand = (options: CallOptions) => client.send(new ListObjectsV2Command(input), options);
  if (response === undefined) return sendCommand(send);
  const body = buffer(response.body);
  const bytes = await body.catch(() => undefined);
  if (bytes && PAGE.test(bytes.toString('latin1', 0, 1000))) {
    const protocol = client.config.protocol as unknown as HttpProtocol;
    const context = client.config as unknown as Context;
    return protocol.deserializeResponse(LIST, context, new HttpResponse({ ...response, body: bytes }));
  }
  const outcome = body.then((read) => ({ response: new HttpResponse({ ...response, body: Readable.from([read]) }) }));
  // The command may fail before it takes the outcome.
  outcome.catch(() => undefined);
  return sendCommand({ ...counted, earlier: { outcome } });
}
