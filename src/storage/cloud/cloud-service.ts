import type { IncomingHttpHeaders } from 'node:http';
import type { HttpRequest, HttpSettings } from '../http/send-request.ts';
import type { Limiter } from '../limiter.ts';
import type { FolderEntry, ObjectStat } from '../object-store.ts';
import type { StoreOptions } from '../store-options.ts';
import type { OpenAccess } from './accesses.ts';
import type { Refusal } from './cloud-errors.ts';
import type { Credentials } from './credentials.ts';

export type Properties = StoreOptions['properties'];

/** Where an object is. */
export interface Place {
  /** The host of an Azure storage account; empty for Google. */
  account: string;
  /** The bucket or container. */
  bucket: string;
  /** Unchanged from the path, without decoding. Empty for the bucket itself. */
  key: string;
}

/** A store of objects that is read over HTTP. */
export interface CloudService {
  /** @throws CodedError `INVALID_ARGUMENT` for a path that names no bucket */
  place(path: string, properties: Properties): Place;
  /** @throws CodedError `FAILED_PRECONDITION` for a missing or invalid property */
  access: OpenAccess<CloudAccess<object>>;
}

/** Access to one account or service with one set of properties. Requests are returned without their authorization. */
export interface CloudAccess<C extends object> {
  /** For error messages. */
  readonly where: string;
  readonly http: HttpSettings;
  /** Limits all requests to the same endpoint. Requests wait here instead of for a connection, so that no time limit runs meanwhile. */
  readonly limiter: Limiter;
  readonly credentials: Credentials<C>;
  authorize(request: HttpRequest, credential: C): HttpRequest;
  getRequest(place: Place, range?: string): HttpRequest;
  /** Undefined if the response to a read is not that of an object. */
  checkRead?(headers: IncomingHttpHeaders): string | undefined;
  statRequest(place: Place): HttpRequest;
  stat(headers: IncomingHttpHeaders, body: string): ObjectStat | undefined;
  /** @param after see `ObjectStore.list`; the service may ignore it */
  listRequest(place: Place, prefix: string, options: { after?: string; token?: string }): HttpRequest;
  listed(body: string, prefix: string): Promise<ListedPage>;
  refusal(headers: IncomingHttpHeaders, body: string): Refusal;
}

export interface ListedPage {
  /** In the service's order, which is that of `compareKeys` except that a folder may come before names that begin with its own. */
  entries: FolderEntry[];
  /** The page contains the folder itself or something in it. */
  exists: boolean;
  /** The token of the next page. */
  next?: string;
}
