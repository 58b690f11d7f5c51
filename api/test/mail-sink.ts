import { once } from "node:events";
import { SMTPServer } from "smtp-server";
import { vi } from "vitest";

export interface ReceivedMail {
  readonly to: string;
  /** Headers and text, as they crossed the wire, with quoted-printable undone. */
  readonly source: string;
}

/** A real SMTP server on loopback that keeps what it is sent; with STARTTLS, by a certificate that nobody vouches for, on demand. */
export async function startMailSink({ offersTls = false, takesLogins = false } = {}) {
  const mails: ReceivedMail[] = [];
  const state = { answer: undefined as number | undefined };
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: [...(offersTls ? [] : ["STARTTLS"]), ...(takesLogins ? [] : ["AUTH"])],
    allowInsecureAuth: true,
    onAuth: (_auth, _session, callback) => callback(null, { user: "anybody" }),
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const { answer } = state;
        if (answer !== undefined) {
          return callback(Object.assign(new Error("not now"), { responseCode: answer }));
        }
        const to = session.envelope.rcptTo.map(({ address }) => address).join(",");
        mails.push({ to, source: decoded(Buffer.concat(chunks).toString("utf8")) });
        return callback();
      });
    },
  });
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  const address = server.server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;

  /** The newest mail to somebody with these words in it. */
  const mailTo = (to: string, words: string): Promise<ReceivedMail> =>
    vi.waitUntil(() => mails.findLast((mail) => mail.to === to && mail.source.includes(words)), {
      timeout: 20_000,
      interval: 50,
    });

  return {
    url: `smtp://127.0.0.1:${port}?ignoreTLS=true`,
    mails,
    mailTo,
    /** The token in the link of such a mail. */
    tokenTo: async (to: string, words: string): Promise<string> =>
      /#token=(\S+)/.exec((await mailTo(to, words)).source)?.[1] ?? "",
    /** Refuses what comes with this code, until it is undefined again. */
    refuseWith: (answer: number | undefined) => void (state.answer = answer),
    stop: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
export type MailSink = Awaited<ReturnType<typeof startMailSink>>;

/** RFC 2045: lines that end with `=` go on, and `=3D` is a byte in hexadecimal. */
function decoded(source: string): string {
  return source
    .replaceAll("=\r\n", "")
    .replaceAll(/=([0-9A-F]{2})/g, (_, byte: string) =>
      String.fromCodePoint(Number.parseInt(byte, 16)),
    );
}
