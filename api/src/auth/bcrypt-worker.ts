import { constants, setPriority } from "node:os";
import { compare, hash } from "bcrypt";
import { z } from "zod";

/**
 * A process of its own, at low priority: eight bcrypt comparisons in the process that answers requests made a token
 * check take 1,095 ms instead of 0.4 ms, because they share its thread pool.
 */
const Job = z.discriminatedUnion("type", [
  z.object({ id: z.int(), type: z.literal("hash"), password: z.string(), cost: z.int() }),
  z.object({ id: z.int(), type: z.literal("compare"), password: z.string(), hash: z.string() }),
]);
type Job = z.infer<typeof Job>;

export type BcryptJob = Job;
export type BcryptAnswer =
  | { readonly id: number; readonly result: string | boolean }
  | { readonly id: number; readonly failure: string };

setPriority(constants.priority.PRIORITY_LOW);
process.on("message", (message) => void answer(Job.parse(message)));
process.on("disconnect", () => process.exit());
// The parent ends us; a Ctrl-C in a terminal reaches the whole group and must not end us first.
process.on("SIGINT", () => {});

async function answer(job: Job): Promise<void> {
  try {
    const result =
      job.type === "hash"
        ? await hash(job.password, job.cost)
        : await compare(job.password, job.hash);
    send({ id: job.id, result });
  } catch (error) {
    send({ id: job.id, failure: error instanceof Error ? error.message : "bcrypt failed" });
  }
}

function send(message: BcryptAnswer): void {
  if (process.connected) process.send?.(message);
}
