import { LeaseLeft } from "@tradingbots/crds";
import { request } from "undici";

/** What the journal says about leases. It is asked only when a decision depends on it. */
export interface BotLeases {
  /**
   * Milliseconds until the bot's lease has run out, whichever of its pods holds it; 0 when there is none. Renewed meanwhile it lasts
   * longer. @throws Error when the journal does not answer: then nothing is known.
   */
  leftMs(bot: { readonly name: string }): Promise<number>;
}

const TIMEOUT_MS = 5_000;

export function createBotLeases(options: {
  readonly url: string;
  readonly token: () => string;
}): BotLeases {
  return {
    leftMs: async ({ name }) => {
      const path = `/v1/leases/${encodeURIComponent(name)}`;
      const answer = await request(new URL(path, options.url), {
        headers: { authorization: `Bearer ${options.token()}` },
        headersTimeout: TIMEOUT_MS,
        bodyTimeout: TIMEOUT_MS,
      });
      if (answer.statusCode !== 200) {
        await answer.body.dump();
        throw new Error(`the journal answered ${answer.statusCode} to GET ${path}`);
      }
      return LeaseLeft.parse(await answer.body.json()).leftMs;
    },
  };
}
