import type { LookUps } from "../exchange/exchange.ts";

/** A look was given up for something that does not wait. It only observed: nothing is lost by that. */
export class LookGivenUp extends Error {
  override readonly name = "LookGivenUp";
}

/**
 * Look-ups on a connection that may hang for as long as a request may take. Turns are one at a time, so whoever waits for such
 * an answer is sent on by `giveUp`.
 */
export class PatientLooks implements LookUps {
  readonly #lookUps: LookUps;
  /** One for each answer that is waited for. */
  readonly #waiting = new Set<() => void>();

  constructor(lookUps: LookUps) {
    this.#lookUps = lookUps;
  }

  position: LookUps["position"] = (symbol) => this.wait(this.#lookUps.position(symbol));
  openOrders: LookUps["openOrders"] = (symbol) => this.wait(this.#lookUps.openOrders(symbol));
  findOrder: LookUps["findOrder"] = (reference) => this.wait(this.#lookUps.findOrder(reference));
  executions: LookUps["executions"] = (query) => this.wait(this.#lookUps.executions(query));

  giveUp(): void {
    for (const leave of this.#waiting) leave();
  }

  /** For any other answer of the exchange. @throws LookGivenUp */
  async wait<Answer>(asking: Promise<Answer>): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const leave = () => reject(new LookGivenUp());
    this.#waiting.add(leave);
    asking.then(resolve, reject);
    try {
      return await promise;
    } finally {
      this.#waiting.delete(leave);
    }
  }
}
