/** The signals that ask a server or a waiting command to stop. SIGHUP: its terminal was closed. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** npm and npx pass on the Ctrl-C that the terminal has sent to everybody already: both are one wish. */
const SAME_WISH_MS = 1_000;

/**
 * `stopped` resolves, and `signal` is aborted, at the first of them. A second one, after a moment, ends the process at once.
 */
export function untilStopped(): { stopped: Promise<NodeJS.Signals>; signal: AbortSignal; dispose(): void } {
  let first = 0;
  const controller = new AbortController();
  let resolve: (signal: NodeJS.Signals) => void;
  const stopped = new Promise<NodeJS.Signals>((done) => {
    resolve = done;
  });
  const onSignal = (signal: NodeJS.Signals) => {
    if (first === 0) {
      first = Date.now();
      resolve(signal);
      controller.abort();
    } else if (Date.now() - first > SAME_WISH_MS) {
      process.exit(130);
    }
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    stopped,
    signal: controller.signal,
    dispose: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal);
    },
  };
}
