import { randomInt } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { EndReason, Transport } from "./listeners.ts";
import {
  CLOSE,
  closeFrame,
  pingFrame,
  pongFrame,
  readControlFrames,
  textFrame,
} from "./web-socket.ts";

/** Somebody who has so much yet to take is not reading. An event has some hundred bytes. */
const UNSENT_BYTES_MAX = 64 * 1024;
/** For the last word to arrive. */
const GOODBYE_MS = 2_000;
/** Of an unfinished frame; a control frame is smaller. */
const UNREAD_BYTES_MAX = 256;
/** A client that is cut off waits so long before it comes back, each another time: of twenty thousand in two seconds most found no place. */
const RETRY_MS = { min: 1_000, max: 10_000 } as const;

/** Events were thrown away before this listener had them: it had better load anew what it shows. */
const MISSED = '{"kind":"missed"}';

const CLOSE_CODES: Readonly<Record<EndReason, number>> = {
  going_away: CLOSE.goingAway,
  too_slow: CLOSE.tryAgainLater,
  session_ended: CLOSE.sessionEnded,
  authenticate_again: CLOSE.authenticateAgain,
};

/** A WebSocket after its handshake. `onEnd` is called once, whoever ended it. */
export function webSocketTransport(socket: Socket, onEnd: () => void): Transport {
  let isThere = true;
  let unread: Buffer | undefined;

  function close(code: number, reason: string): void {
    onEnd();
    if (socket.writable) socket.end(closeFrame(code, reason));
    setTimeout(() => socket.destroy(), GOODBYE_MS).unref();
  }

  function answerPing(payload: Buffer): void {
    // Whoever asks and does not read the answers would have us keep them all.
    if (socket.writableLength > UNSENT_BYTES_MAX) close(CLOSE.tryAgainLater, "too_slow");
    else if (socket.writable) socket.write(pongFrame(payload));
  }

  function hear(bytes: Buffer): void {
    const { frames, rest } = readControlFrames(
      unread === undefined ? bytes : Buffer.concat([unread, bytes]),
    );
    unread = rest.length === 0 ? undefined : Buffer.from(rest);
    for (const { kind, payload } of frames) {
      isThere = true;
      if (kind === "ping") answerPing(payload);
      if (kind === "close") close(CLOSE.normal, "");
    }
    if (rest.length > UNREAD_BYTES_MAX) throw new Error("an endless frame");
  }

  socket.on("data", (bytes: Buffer) => {
    try {
      hear(bytes);
    } catch {
      close(CLOSE.protocolError, "only control frames are taken");
    }
  });
  socket.on("close", onEnd);
  return {
    take: (events, hasMissed) => {
      const texts = events.map(({ text }) => text);
      const frames = (hasMissed ? [MISSED, ...texts] : texts).map(textFrame);
      if (socket.writable) socket.write(Buffer.concat(frames));
      return socket.writableLength <= UNSENT_BYTES_MAX;
    },
    beat: () => {
      if (!isThere) return false;
      isThere = false;
      if (socket.writable) socket.write(pingFrame());
      return true;
    },
    end: (reason) => close(CLOSE_CODES[reason], reason),
  };
}

/** Server-sent events on an answer whose head is written. `onEnd` is called once, whoever ended it. */
export function eventStreamTransport(response: ServerResponse, onEnd: () => void): Transport {
  response.write(`retry: ${randomInt(RETRY_MS.min, RETRY_MS.max)}\n\n`);
  response.on("close", onEnd);
  const tells = (text: string): boolean => {
    if (!response.writableEnded) response.write(text);
    return response.writableLength <= UNSENT_BYTES_MAX;
  };
  return {
    take: (events, hasMissed) => {
      const lines = events.map(({ id, text }) => `id: ${id}\ndata: ${text}\n\n`).join("");
      return tells(hasMissed ? `data: ${MISSED}\n\n${lines}` : lines);
    },
    beat: () => tells(":\n\n"),
    end: (reason) => {
      onEnd();
      response.end(`event: end\ndata: {"reason":"${reason}"}\n\n`);
      setTimeout(() => response.destroy(), GOODBYE_MS).unref();
    },
  };
}
