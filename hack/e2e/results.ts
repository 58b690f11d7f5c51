import { z } from "zod";

declare module "vitest" {
  interface TaskMeta {
    /** What a test has measured, in words. */
    figure?: string;
  }
}

const Results = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  testResults: z.array(
    z.object({
      assertionResults: z.array(z.object({ meta: z.object({ figure: z.string().optional() }) })),
    }),
  ),
});

/** What tests have measured, a line each, and then how many passed and failed. Takes vitest's JSON report. */
export function summaryOf(report: string): string {
  const { numPassedTests, numFailedTests, testResults } = Results.parse(JSON.parse(report));
  const figures = testResults.flatMap(({ assertionResults }) =>
    assertionResults.flatMap(({ meta }) => meta.figure ?? []),
  );
  return [...figures, `${numPassedTests} passed, ${numFailedTests} failed`].join("\n");
}
