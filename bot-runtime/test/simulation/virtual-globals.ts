import type { Timeline, VirtualProcess } from "./timeline.ts";

/**
 * Product code takes its time from an injected clock. What does not (adapters, timeouts of requests) meets virtual time here
 * all the same: the simulation's worker replaces the globals, once, before any product module is loaded into it.
 */

interface VirtualTimer {
  readonly cancel: () => void;
  readonly unref: () => VirtualTimer;
  readonly ref: () => VirtualTimer;
}

let timeline: Timeline | undefined;

/** Makes a run's time the globals' time. */
export function useTimeline(used: Timeline): void {
  timeline = used;
}

function current(): Timeline {
  if (timeline === undefined) throw new Error("the simulation has no timeline yet");
  return timeline;
}

function wallMs(): number {
  const { nowMs, running } = current();
  return nowMs + (running?.skewMs ?? 0);
}

const RealDate = Date;

class VirtualDate extends RealDate {
  constructor(...given: [] | [number | string | Date]) {
    super(given.length === 0 ? wallMs() : given[0]);
  }

  static override now(): number {
    return wallMs();
  }
}

export function installVirtualGlobals(): void {
  Object.assign(globalThis, {
    Date: VirtualDate,
    setTimeout: startTimer,
    clearTimeout: stopTimer,
    setInterval: startInterval,
    clearInterval: stopTimer,
  });
  performance.now = () => current().nowMs;
  AbortSignal.timeout = (ms) => {
    const controller = new AbortController();
    const message = "The operation was aborted due to timeout";
    startTimer(() => controller.abort(new DOMException(message, "TimeoutError")), ms);
    return controller.signal;
  };
}

function startTimer(run: () => void, ms = 0): VirtualTimer {
  const { running } = current();
  return timerOf(current().after(ms, run, running));
}

function startInterval(run: () => void, ms = 0): VirtualTimer {
  const { running } = current();
  if (running === undefined) throw new Error("an interval outside of every process");
  return timerOf(running.every(ms, run));
}

function timerOf(cancel: () => void): VirtualTimer {
  const timer: VirtualTimer = { cancel, unref: () => timer, ref: () => timer };
  return timer;
}

function stopTimer(timer: VirtualTimer | undefined): void {
  timer?.cancel();
}

/** The process whose code runs. Throws outside of every process. */
export function runningProcess(): VirtualProcess {
  const { running } = current();
  if (running === undefined) throw new Error("no process runs");
  return running;
}
