import { DnsLabel } from "@tradingbots/crds";
import { z } from "zod";

/** A name that people give: one line, no control characters. */
export const DisplayName = z
  .string()
  .trim()
  .min(1)
  .max(64)
  // Written so that it reads the same in ECMAScript, RE2 and Python: clients check it too.
  .regex(new RegExp(String.raw`^[^\x00-\x1f\x7f]*$`), "no control characters");

export const IdParams = z.object({ id: DnsLabel });
