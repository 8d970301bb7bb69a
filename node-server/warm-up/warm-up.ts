/**
 * What a member does most, done before anybody waits for it: V8 compiles what is hot as it goes, and otherwise the first
 * thousands of requests of a process cost several times what those do that follow. Two members live for a moment in this
 * process, on volumes in memory and without a network; what clients ask most goes its whole way, from the bytes of a
 * connection to log, follower, store and back.
 *
 * It gives way at every turn, so that a member whose cluster needs it takes part meanwhile.
 */
import { sleep, type Clock } from '../../lib/clock.ts'
import type { BuiltInCalls } from '../grpc/built-in.ts'
import { WARM_UP, type WarmUpLimits } from '../limits.ts'
import { usualCalls } from './calls.ts'
import { MemorySocket } from './memory-socket.ts'
import { ScratchClient, type CallTemplate } from './scratch-client.ts'
import { ScratchLink } from './scratch-link.ts'
import { ScratchMember } from './scratch-member.ts'

/** How many calls succeeded. Takes no longer than the limits allow, or until it is aborted; what is left of it ends by itself. */
export async function warmUp(clock: Clock, limits: WarmUpLimits = WARM_UP, aborted?: AbortSignal): Promise<number> {
  const members = ScratchMember.cluster(new ScratchLink(), clock)
  const clients: ScratchClient[] = []
  const over = new AbortController()
  aborted?.addEventListener('abort', () => over.abort(), { once: true })
  try {
    await Promise.race([work(members, clients, limits, over.signal), sleep(clock, limits.ms, over.signal)])
  } finally {
    over.abort()
    // Not waited for: they hand over and flush as if anybody needed them.
    for (const member of members) member.stop().catch(() => undefined)
  }
  return clients.reduce((sum, { succeeded }) => sum + succeeded, 0)
}

async function work(
  members: readonly ScratchMember[],
  clients: ScratchClient[],
  limits: WarmUpLimits,
  over: AbortSignal,
): Promise<void> {
  const servers = await Promise.all(members.map((member) => member.start()))
  if (over.aborted) return
  const lines = servers.flatMap((server) => Array.from({ length: limits.connections }, () => server))
  const load = { calls: usualCalls(), count: Math.ceil(limits.calls / lines.length), atOnce: limits.callsInFlight }
  await Promise.all(lines.map((server) => askOver(server, load, clients, over)))
}

/** Of one connection. */
interface Load {
  /** In turn. */
  readonly calls: readonly CallTemplate[]
  readonly count: number
  readonly atOnce: number
}

/** On a connection to that member, calls follow one another until there were enough. */
async function askOver(
  server: BuiltInCalls,
  { calls, count, atOnce }: Load,
  clients: ScratchClient[],
  over: AbortSignal,
): Promise<void> {
  const [near, far] = MemorySocket.pair()
  server.take(far)
  const done = Promise.withResolvers<void>()
  let asked = 0
  const next = (): void => {
    const call = calls[asked % calls.length]
    if (over.aborted || asked >= count || call === undefined) {
      if (client.unanswered === 0) done.resolve()
      return
    }
    asked += 1
    client.call(call)
  }
  const client = new ScratchClient(near, next)
  clients.push(client)
  for (let i = 0; i < atOnce; i++) next()
  await done.promise
}
