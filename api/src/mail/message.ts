/** A short text for one person. */
export interface Message {
  /** The same at every attempt: whoever gets it twice can tell. */
  readonly id: string;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

/**
 * Hands a message over to whoever brings it: a mail server, or a provider behind a webhook.
 * @throws MessageRefused when no further attempt would help; any other error passes
 */
export type Deliver = (message: Message) => Promise<void>;

export class MessageRefused extends Error {
  override readonly name = "MessageRefused";
}
