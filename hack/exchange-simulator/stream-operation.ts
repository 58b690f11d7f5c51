import { z } from "zod";

const Operation = z.object({
  op: z.string(),
  /** Comes back as it was sent: ccxt numbers its operations. */
  req_id: z.union([z.string(), z.number()]).default(""),
  args: z.array(z.union([z.string(), z.number()]).transform(String)).default([]),
});
/** What a reader of a stream asks for: {"op": "subscribe", "args": [...]}. */
export type Operation = z.output<typeof Operation>;

/** The operation in a message; undefined when there is none. */
export function parseOperation(text: string): Operation | undefined {
  try {
    return Operation.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
