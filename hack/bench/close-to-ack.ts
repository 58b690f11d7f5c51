import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { z } from "zod";
import type { Figure } from "./figure.ts";
import { faultsInWords } from "./order-faults.ts";
import { median, percentile, spread } from "./statistics.ts";

/** One per core of a small machine; each has a simulator of its own. */
const WORKERS = 2;
/** Per worker: each bot has its own account, key, streams and connections; together they keep one core busy. */
const BOTS = 80;

const Acknowledgements = z.object({ tookMs: z.array(z.number()), open: z.int(), leftOut: z.int() });
const Message = z.tuple([Acknowledgements]);

/** How long after a candle's close the exchange has an entry for certain, as the bot knows it, while answers are spoilt. */
export async function measureCloseToAck(wanted: number): Promise<readonly Figure[]> {
  const entries = Math.ceil(wanted / WORKERS);
  const parts = await Promise.all(
    Array.from({ length: WORKERS }, (_, seed) => play(seed, entries)),
  );
  const took = parts.flatMap(({ tookMs }) => tookMs);
  const open = parts.reduce((sum, part) => sum + part.open, 0);
  const leftOut = parts.reduce((sum, part) => sum + part.leftOut, 0);
  return [
    {
      key: "close_to_ack_ms_p95",
      value: percentile(took, 0.95),
      aim: { most: 5_000 },
      baseline: `its own median ${median(took).toFixed(1)}: an answer without a fault`,
      how: `${spread(took)}; from the exchange's own stamp on the closed candle until the bot has its acknowledgement; ${WORKERS} × ${BOTS} bots, ${faultsInWords}; the journal is one in memory that answers at once; left out: ${leftOut} entries that the exchange refused or never saw; ${open} still open at the end`,
    },
  ];
}

async function play(seed: number, entries: number): Promise<z.infer<typeof Acknowledgements>> {
  const worker = new Worker(new URL("close-to-ack-worker.ts", import.meta.url), {
    workerData: { seed, bots: BOTS, entries },
  });
  try {
    const message: unknown = await once(worker, "message");
    const [answer] = Message.parse(message);
    return answer;
  } finally {
    await worker.terminate();
  }
}
