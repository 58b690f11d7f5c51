interface Waiting<Question, Answer> {
  readonly question: Question;
  readonly settle: (answer: Answer) => void;
  readonly fail: (error: unknown) => void;
}

/** Gives the answers in the order of the questions. */
type AskAll<Question, Answer> = (questions: readonly Question[]) => Promise<readonly Answer[]>;

/**
 * Answers many out of one statement: what is asked while one is under way travels with the next, at most `max`. How many wait is
 * bounded by the requests that a process takes. Each rejects when its statement does.
 */
export function askTogether<Question, Answer>(askAll: AskAll<Question, Answer>, max: number) {
  const waiting: Waiting<Question, Answer>[] = [];
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    while (waiting.length > 0) await answer(askAll, waiting.splice(0, max));
    isRunning = false;
  }

  return (question: Question): Promise<Answer> =>
    new Promise((settle, fail) => {
      waiting.push({ question, settle, fail });
      if (!isRunning) void run();
    });
}

async function answer<Question, Answer>(
  askAll: AskAll<Question, Answer>,
  asked: readonly Waiting<Question, Answer>[],
): Promise<void> {
  try {
    const answers = (await askAll(asked.map(({ question }) => question))).values();
    for (const { settle, fail } of asked) {
      const { value, done } = answers.next();
      if (done === true) fail(new Error("a statement answered less than it was asked"));
      else settle(value);
    }
  } catch (error) {
    for (const { fail } of asked) fail(error);
  }
}
