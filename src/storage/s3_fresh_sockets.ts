import type { Agent } from "node:http";
import type { NodeHttpHandler } from "@smithy/node-http-handler";
import { systemClock } from "../domain/clock.ts";

/** Servers close what is idle after 5 s at the earliest, Node's own; most wait for longer. */
const MAX_IDLE_MS = 4_000;

/** What requests are handed to. */
export type RequestHandler = Pick<NodeHttpHandler, "handle" | "destroy" | "metadata">;

/**
 * A handler that sends no request through a connection that was idle for long: the server may just
 * be closing it, and then Deno 2.6 waits for the answer until the deadline, which is a minute
 * (Deno 2.6.10: 14 of 80 requests that met the moment; 2.9 opens another connection by itself).
 *
 * @param options.agents what `handler` takes its connections from.
 * @param options.maxIdleMs milliseconds. @default {4000}
 */
export function freshSockets(
  handler: NodeHttpHandler,
  { agents, maxIdleMs = MAX_IDLE_MS }: {
    readonly agents: readonly Agent[];
    readonly maxIdleMs?: number | undefined;
  },
): RequestHandler {
  const freedAt = new WeakMap<object, number>();
  for (const agent of agents) {
    agent.on("free", (socket: object) => freedAt.set(socket, systemClock.monotonic()));
  }
  const closeIdle = () => {
    const oldest = systemClock.monotonic() - maxIdleMs;
    const free = agents.flatMap(({ freeSockets }) => Object.values(freeSockets).flat());
    for (const socket of free) if (socket && (freedAt.get(socket) ?? 0) < oldest) socket.destroy();
  };
  return {
    metadata: handler.metadata,
    handle(request, options) {
      closeIdle();
      return handler.handle(request, options);
    },
    destroy: () => handler.destroy(),
  };
}
