import type { FastifyReply, FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import type { Socket } from "node:net";
import { z } from "zod";
import { callerOf } from "../auth/authenticate.ts";
import { scoped } from "../auth/scopes.ts";
import { ApiError } from "../errors.ts";
import { FAILURE } from "../problem.ts";
import type { Transport } from "./listeners.ts";
import type { LiveHub } from "./live-hub.ts";
import { eventStreamTransport, webSocketTransport } from "./transports.ts";
import { protocolsOf, upgradeOf } from "./upgrades.ts";
import { acceptOf, isKey } from "./web-socket.ts";

const PROTOCOL = "tradingbots.v1";

const EventId = z.string().regex(/^\d{1,15}$/);
const Query = z.strictObject({
  lastEventId: EventId.optional().describe("Id of the last event that was received."),
});
const Headers = z.object({ "last-event-id": EventId.optional() });

const SCHEMA = {
  tags: ["events"],
  ...scoped("read"),
  summary: "What happens, as it happens: trades, positions, state and halts",
  description: `Server-sent events, or a WebSocket for whoever asks for one (with \`Sec-WebSocket-Protocol: ${PROTOCOL}, bearer.<token>\`
where no header can be set). Every message is JSON: \`{id, kind, at, data}\`. Whoever names the last id that it received gets what came
after it; \`{kind: "missed"}\` says that some of it is not kept any more. The end is a close code (1001, 1013 for who reads too slowly,
4401 when the log-in has ended, 4408 when a token must be shown again) or an \`end\` event with the reason. Whoever is cut off
comes back after a random time of up to ten seconds (an event source is told which): after a crash all the others come back as well.`,
  querystring: Query,
  headers: Headers,
  response: {
    200: {
      description: "An endless stream.",
      // Without a type: some take it for all of the text, some for each event.
      content: { "text/event-stream": { schema: z.unknown().describe("`data` is JSON.") } },
    },
    ...FAILURE,
  },
};

/** GET /api/events */
export function liveRoutes({
  live,
}: {
  readonly live: Pick<LiveHub, "headOf" | "join">;
}): FastifyPluginAsyncZod {
  return async (app) => {
    app.get("/events", { schema: SCHEMA }, async (request, reply) => {
      const { userId, sessionId } = callerOf(request);
      const socket = upgradeOf(request.raw);
      const answer =
        socket === undefined ? eventStream(reply) : webSocket({ socket, request, reply });
      const head = await live.headOf(userId);
      if (reply.raw.destroyed) {
        reply.hijack(); // it has left meanwhile, and will not say so again
        return;
      }
      // An event source that comes back asks at the address at which it began: the header is the newer one.
      const lastId = Number(request.headers["last-event-id"] ?? request.query.lastEventId ?? head);
      // An id that was never given is one of a database that was here before this one.
      const isKnown = lastId <= head;
      const place = { caller: { userId, sessionId }, after: isKnown ? lastId : head };
      const transport = live.join(place, answer);
      if (!isKnown) transport.take([], true);
      request.log.info({ isSocket: socket !== undefined }, "listens");
    });
  };
}

/** Begins to tell: writes the answer's head. `leave` is called at the end. */
type Begin = (leave: () => void) => Transport;

function eventStream(reply: FastifyReply): Begin {
  return (leave) => {
    reply.hijack();
    reply.header("content-type", "text/event-stream");
    reply.header("x-accel-buffering", "no"); // a proxy that gathers what it passes on would gather for ever
    for (const [name, value] of Object.entries(reply.getHeaders()))
      if (value !== undefined) reply.raw.setHeader(name, value);
    return eventStreamTransport(reply.raw, leave);
  };
}

interface Upgrade {
  readonly socket: Socket;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** @throws ApiError `bad_request` when the handshake is not RFC 6455's */
function webSocket({ socket, request, reply }: Upgrade): Begin {
  const { headers } = request;
  const key = headers["sec-websocket-key"];
  if (!isKey(key) || headers["sec-websocket-version"] !== "13") {
    reply.header("sec-websocket-version", "13");
    throw new ApiError("bad_request", "a WebSocket begins with a key and version 13");
  }
  const protocols = protocolsOf(headers["sec-websocket-protocol"]);
  const chosen = protocols.includes(PROTOCOL) ? `Sec-WebSocket-Protocol: ${PROTOCOL}\r\n` : "";
  return (leave) => {
    reply.hijack();
    reply.raw.detachSocket(socket);
    socket.setTimeout(0);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n${chosen}\r\n`,
    );
    return webSocketTransport(socket, leave);
  };
}
