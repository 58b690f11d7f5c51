import { expect, test } from "vitest";
import { renewLeasesTogether } from "./lease-renewals.ts";
import type { HeldLease } from "./leases.ts";

const lease = (bot: number): HeldLease => ({ botId: `bot-${bot}`, podUid: `pod-${bot}`, epoch: 1 });

/** Statements as the database gets them: each waits until the test lets it end. */
function createWorld() {
  const statements: {
    readonly leases: readonly HeldLease[];
    readonly end: (renewed: readonly HeldLease[]) => void;
    readonly fail: (error: Error) => void;
  }[] = [];
  const renew = renewLeasesTogether(
    (leases) =>
      new Promise((end, fail) => {
        statements.push({ leases, end, fail });
      }),
  );
  return { statements, renew };
}

test("what comes while a statement is under way travels with the next, 500 at most", async () => {
  const { statements, renew } = createWorld();
  const answers = Array.from({ length: 1_200 }, async (_, bot) => renew(lease(bot)));
  for (let statement = 0; statement < 4; statement++) {
    await expect.poll(() => statements.length).toBe(statement + 1);
    const { leases, end } = statements[statement] ?? { leases: [], end: () => {} };
    end(leases.filter(({ botId }) => botId !== "bot-700"));
  }
  expect(statements.map(({ leases }) => leases.length)).toEqual([1, 500, 500, 199]);
  const renewed = await Promise.all(answers);
  expect(renewed.flatMap((isRenewed, bot) => (isRenewed ? [] : [bot]))).toEqual([700]);
});

test("a statement that fails fails its own renewals and none after it", async () => {
  const { statements, renew } = createWorld();
  const first = renew(lease(1));
  const second = renew(lease(2));
  statements[0]?.fail(new Error("Connection terminated"));
  await expect(first).rejects.toThrow("Connection terminated");
  await expect.poll(() => statements.length).toBe(2);
  statements[1]?.end([lease(2)]);
  expect(await second).toBe(true);
  const third = renew(lease(3));
  await expect.poll(() => statements.length).toBe(3);
  statements[2]?.end([{ ...lease(3), epoch: 2 }]);
  expect(await third).toBe(false);
});
