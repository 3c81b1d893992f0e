/**
 * Reports steps on stderr with the time that they take: in a terminal as one line that changes, elsewhere as lines at the beginning, every
 * ten seconds, and at the end.
 */
const PREFIX = 'reconciler: ';
const DRAW_MS = 200;
const REPORT_MS = 10_000;

const active = new Map();
let timer;

/**
 * Begins a step. Several may run at the same time.
 *
 * @param text what is being done, for people
 * @param detail returns how far it is; called now and then
 * @returns ends the step; its argument says what was done and is absent if the step failed
 */
export function startStep(text, detail = () => '') {
  const step = { text, detail, started: Date.now(), reported: Date.now() };
  active.set(step, true);
  if (!isTerminal()) print(step.text);
  timer ??= setInterval(tick, DRAW_MS).unref();
  return (done) => {
    active.delete(step);
    clear();
    if (done !== undefined) print(`${done} in ${seconds(step)}`);
    if (active.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

const isTerminal = () => process.stderr.isTTY === true && process.env.TERM !== 'dumb';
const seconds = ({ started }) => `${((Date.now() - started) / 1000).toFixed(started > Date.now() - 10_000 ? 1 : 0)} s`;
const stateOf = (step) => [step.text, step.detail(), seconds(step)].filter(Boolean).join(', ');

function tick() {
  if (isTerminal()) {
    process.stderr.write(`\r\x1b[2K${lineOf([...active.keys()].map(stateOf), (process.stderr.columns || 80) - 1)}`);
    return;
  }
  for (const step of active.keys()) {
    if (Date.now() - step.reported < REPORT_MS) continue;
    step.reported = Date.now();
    print(stateOf(step));
  }
}

/** As many of the steps as the line has room for; a line that wrapped could not be cleared. The first step may be cut. */
export function lineOf(states, width) {
  let line = `${PREFIX}${states[0]}`;
  for (const state of states.slice(1)) if (`${line}; ${state}`.length <= width) line += `; ${state}`;
  return line.slice(0, width);
}

function clear() {
  if (isTerminal()) process.stderr.write('\r\x1b[2K');
}

function print(line) {
  process.stderr.write(`${PREFIX}${line}\n`);
}
