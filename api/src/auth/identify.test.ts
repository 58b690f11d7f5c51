import { expect, test } from "vitest";
import { createIdentify } from "./identify.ts";
import { createLoginThrottle } from "./login-throttle.ts";

const DECOY = "of nobody";
const ANNA = { id: "anna", passwordHash: "of anna" };

test.for<[who: string, user: typeof ANNA | undefined, comparedWith: string]>([
  ["a wrong password", ANNA, ANNA.passwordHash],
  ["somebody who is not there", undefined, DECOY],
])("%s costs one comparison and says nothing", async ([, user, comparedWith]) => {
  const compared: (readonly [password: string, hash: string])[] = [];
  const identify = createIdentify({
    passwords: {
      compare: async (password, hash) => {
        compared.push([password, hash]);
        // Were the decoy's password guessed, nobody would still be nobody.
        return hash === DECOY;
      },
      decoy: DECOY,
    },
    throttle: createLoginThrottle(() => 0),
    secondFactors: { prove: () => Promise.reject(new Error("nobody is asked for a second one")) },
  });
  const attempt = { address: "192.0.2.1", account: "anna@example.com", password: "a guess" };
  expect(await identify({ ...attempt, user, proof: {} })).toBeUndefined();
  expect(compared).toEqual([["a guess", comparedWith]]);
});
