import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { readConfig } from '../../../src/config.ts';
import { declarationOf, SEARCH_ATTRIBUTES } from '../../../src/contract/search-attributes.ts';
import { findTemporalCli } from '../../../src/stack/temporal-cli.ts';
import { freePort } from './running-stack.ts';

/** Temporal's dev server without a stack. A test can stop it and start it again with the same data. */
export class TemporalServer implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'temporal-test-'));
  readonly #cli: string;
  readonly port: number;
  #process?: ChildProcess;
  #client?: Client;

  private constructor(cli: string, port: number) {
    this.#cli = cli;
    this.port = port;
  }

  static async start(): Promise<TemporalServer> {
    const server = await TemporalServer.stopped();
    await server.start();
    return server;
  }

  /** Returns a server that has not been started. */
  static async stopped(): Promise<TemporalServer> {
    const { cacheDir, temporalCli } = readConfig();
    return new TemporalServer(await findTemporalCli({ cacheDir, explicit: temporalCli }), await freePort());
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const attributes = Object.values(SEARCH_ATTRIBUTES).flatMap((key) => ['--search-attribute', declarationOf(key)]);
    this.#process = spawn(
      this.#cli,
      [
        ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--port', String(this.port)],
        ...['--db-filename', join(this.#folder, 'temporal.db'), ...attributes],
      ],
      { stdio: 'ignore' },
    );
    this.#client = await this.#untilConnected();
  }

  /** A client whose connection is closed by `stop`. */
  get client(): Client {
    return this.#client as Client;
  }

  /** Returns a client whose connection the caller has to close. */
  async connect(): Promise<Client> {
    return new Client({ connection: await Connection.connect({ address: this.address, connectTimeout: '1s' }) });
  }

  async #untilConnected(): Promise<Client> {
    for (let left = 300; ; left--) {
      try {
        const client = await this.connect();
        await client.workflow.count();
        return client;
      } catch (error) {
        if (left === 0) throw error;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  }

  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    await this.#client?.connection.close();
    if (!running || running.exitCode !== null) return;
    const exited = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGTERM');
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
